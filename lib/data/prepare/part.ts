/**
 * Datasets that several machines prepare: a part on each, joined afterwards.
 *
 * Which documents are held out, and where shards end, follows from what comes before, which a part does not read. So a
 * part holds all its documents in order, undivided, with the length of each; joining them goes through the same code as
 * preparing them in one piece, and gives the same bytes.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Arguments } from "../../arguments.js";
import { vocabularyOf, writeInfo } from "../dataset_info.js";
import { encodeDocuments } from "../encode/encode_documents.js";
import { checkOutFolder, PART_LENGTHS, writeFolderAside } from "../outfolder.js";
import { findSources } from "../sources.js";
import { SplitWriter } from "../split.js";
import { bytesPerToken } from "../token_width.js";
import { Tokenizer } from "../tokenizer.js";
import { tokenizerPath } from "../tokenizer_files.js";
import { Documents } from "./documents.js";
import { LengthWriter } from "./lengths.js";
import { checkOptions, type PrepareOptions } from "./options.js";
import { ownSources } from "./own_sources.js";
import { type PartInfo, type PartNumber, withHash } from "./part_info.js";
import { writeTokenizer } from "./tokenizer_copy.js";

/**
 * Prepares a part of a dataset: a run of its source files, about an equal share of their bytes.
 * @param options as of `prepareDataset`, the same for all parts; with `tokenizerPath`, without `dedup`
 * @throws TypeError or RangeError for a wrong option; ConfigError, DataError as `prepareDataset`, and for fewer files than
 *   parts or standard input
 *
 * @example
 * ```ts
 * import { preparePart } from "nextpatch";
 *
 * // On the second of two machines. Any of them joins the parts by `mergeParts`.
 * const options = { files: ["text.txt", "more.txt"], tokenizerPath: "data/mine/tokenizer.json" };
 * const { tokens } = await preparePart({ ...options, out: "part-2" }, { index: 2, of: 2 });
 * console.log(tokens);
 * ```
 */
export async function preparePart(options: PrepareOptions, part: PartNumber): Promise<PartInfo> {
  const check = new Arguments("preparePart");
  const checked = checkOptions(check, options);
  const { index, of } = check.options("part", part, ["index", "of"]);
  check.wholeNumber("part.of", of, 1);
  check.wholeNumber("part.index", index, 1, of);
  if (checked.tokenizerPath === undefined) {
    check.fail(RangeError, "options", "a tokenizerPath, as all parts need the same tokenizer,", "one to train");
  }
  for (const name of ["documents", "valDocuments"] as const) {
    if (checked[name] === undefined) continue;
    check.fail(RangeError, name, "files, as each part reads its own,", "documents");
  }
  if (checked.dedup) check.fail(RangeError, "dedup", "false, as a part does not know the others,", "true");
  const train = await findSources(checked.files);
  const val = await findSources(checked.val);
  for (const note of [...train.notes, ...val.notes]) checked.onNote?.(note);
  const own = ownSources([...train.sources, ...val.sources], part);
  await checkOutFolder(checked.out);
  const { tokenizerPath: path, endOfText } = checked;
  const tokenizer = await Tokenizer.fromFile(path!, endOfText === undefined ? {} : { endOfText });
  const documents = new Documents(checked, train.sources, val.sources, own);
  return writeFolderAside(checked.out, async (folder) => {
    const writer = new SplitWriter(folder, "part", bytesPerToken(tokenizer), checked.shardTokens);
    const lengths = await LengthWriter.create(join(folder, PART_LENGTHS));
    try {
      let [count, bytes] = [0, 0];
      for await (const pieces of encodeDocuments(documents.texts("encode"), tokenizer, availableParallelism())) {
        checked.signal?.throwIfAborted();
        for (const { piece, ids, mask } of pieces) {
          const size = Buffer.byteLength(piece.text);
          if (!piece.continues) count++;
          bytes += size;
          await lengths.add(piece.continues, ids.length, size);
          await writer.write(ids, mask);
        }
        documents.tokens = writer.tokenCount;
      }
      documents.done(count);
      await writer.finish();
      const info = withHash({
        part: { index, of },
        ...vocabularyOf(tokenizer),
        tokens: writer.tokenCount,
        documents: count,
        bytes,
        passedOver: documents.passedOver,
        valFraction: checked.valFraction,
        shardTokens: checked.shardTokens,
        textField: checked.textField ?? null,
        ...(checked.promptField !== undefined && { promptField: checked.promptField }),
        tokenizerSha256: tokenizer.hash,
        shards: await writer.shards(),
        lengthsSha256: await lengths.finish(),
        sources: documents.sources,
        own,
      });
      await writeTokenizer(folder, tokenizer.json, await tokenizerPath(path!));
      checked.signal?.throwIfAborted();
      await writeInfo(folder, info);
      return info;
    } catch (error) {
      await Promise.all([writer.abort(), lengths.abort()]);
      checked.signal?.throwIfAborted();
      throw error;
    }
  });
}
