/** Text to token shards, for `nextpatch prepare`. */
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Arguments } from "../arguments.js";
import { DataError } from "../errors.js";
import { trainTokenizer as trainBpe } from "./bpe.js";
import type { DatasetInfo } from "./dataset_info.js";
import { type EncodedPiece, encodeDocuments } from "./encode/encode_documents.js";
import type { SourceText } from "./encode/pieces.js";
import { checkOutFolder, DATASET_JSON, writeFolderAside } from "./outfolder.js";
import { Documents } from "./prepare/documents.js";
import { type CheckedOptions, checkOptions, type PrepareOptions } from "./prepare/options.js";
import { findSources } from "./sources.js";
import { SplitWriter } from "./split.js";
import { Tokenizer } from "./tokenizer.js";
import { readCompanion, TOKENIZER_COMPANIONS, TOKENIZER_JSON, tokenizerPath } from "./tokenizer_files.js";

export type { DatasetInfo, SourceInfo } from "./dataset_info.js";
export { DEFAULT_VAL_FRACTION, type PrepareOptions, type PrepareProgress } from "./prepare/options.js";

/**
 * Encodes documents into the folder `out`: train_000000.bin ..., val_000000.bin ..., the tokenizer's files, and last
 * dataset.json.
 *
 * A document is what the tokenizer, with its post-processor, makes of its text. An end-of-text token precedes it, as in
 * llm.c, unless it begins with that token. Whole documents are held out for validation, chosen by their index: an even
 * spread of `valFraction` of them, never the first. If that leaves validation empty, the last document is held out, or
 * of a single document the last `valFraction` of its tokens. Encoding runs on all cores; the files do not depend on how
 * many. The dataset is complete or absent: outfolder.ts says how it comes into its place.
 *
 * @throws TypeError or RangeError for a wrong option
 * @throws ConfigError if `out` is a folder that holds something else, or that another process is filling
 * @throws DataError for sources or a tokenizer that cannot be used
 */
export async function prepareDataset(options: PrepareOptions): Promise<DatasetInfo> {
  const checked = checkOptions(new Arguments("prepareDataset"), options);
  const train = await findSources(checked.files);
  const val = await findSources(checked.val);
  for (const note of [...train.notes, ...val.notes]) options.onNote?.(note);
  await checkOutFolder(options.out);
  const documents = new Documents(checked, train.sources, val.sources);
  return writeFolderAside(options.out, async (folder) => {
    try {
      return await new Preparation(checked, folder, documents).run();
    } catch (error) {
      checked.signal?.throwIfAborted(); // what fails then fails because of it
      throw error;
    }
  });
}

/** One run of prepareDataset: the folder being filled and the counts so far. */
class Preparation {
  readonly #options: CheckedOptions;
  readonly #folder: string;
  readonly #sources: Documents;
  readonly #documents = { train: 0, val: 0 };
  readonly #bytes = { train: 0, val: 0 };
  /** Where the last document of the training split begins, and its bytes. */
  readonly #last = { position: 0, bytes: 0 };

  constructor(options: CheckedOptions, folder: string, sources: Documents) {
    this.#options = options;
    this.#folder = folder;
    this.#sources = sources;
  }

  async run(): Promise<DatasetInfo> {
    const { tokenizerPath: path, valFraction, shardTokens, dedup } = this.#options;
    // Where a tokenizer is trained, or documents are compared, sources are read more than once.
    if (path === undefined || dedup) await this.#sources.keepPipes(this.#folder);
    if (dedup) await this.#sources.compare();
    const tokenizer = await this.#tokenizer();
    const bytesPerToken = tokenizer.vocabSize <= 2 ** 16 ? 2 : 4;
    const train = new SplitWriter(this.#folder, "train", bytesPerToken, shardTokens);
    const val = new SplitWriter(this.#folder, "val", bytesPerToken, shardTokens);
    let heldOut: DatasetInfo["heldOut"];
    try {
      await this.#encode(tokenizer, train, val);
      await train.finish();
      heldOut = await this.#holdOut(train, val);
      await val.finish();
    } catch (error) {
      await Promise.all([train.abort(), val.abort()]);
      throw error;
    }
    await this.#sources.dropPipes();
    const info: DatasetInfo = {
      vocabSize: tokenizer.vocabSize,
      endOfTextId: tokenizer.endOfTextId,
      endOfText: tokenizer.endOfText,
      dtype: bytesPerToken === 2 ? "uint16" : "uint32",
      tokens: { train: train.tokenCount, val: val.tokenCount },
      documents: this.#documents,
      bytes: this.#bytes,
      passedOver: this.#sources.passedOver,
      duplicates: this.#sources.duplicates,
      heldOut,
      valFraction,
      tokenizerSha256: tokenizer.hash,
      shards: [...(await train.shards()), ...(await val.shards())],
      sources: this.#sources.sources,
    };
    await this.#writeTokenizer(tokenizer);
    await this.#write(DATASET_JSON, `${JSON.stringify(info, null, 2)}\n`);
    return info;
  }

  async #tokenizer(): Promise<Tokenizer> {
    const { tokenizerPath: path, trainTokenizer, trainTokenizerVocab, endOfText, onProgress, signal } = this.#options;
    const end = endOfText === undefined ? {} : { endOfText };
    if (path !== undefined) return Tokenizer.fromFile(path, end);
    let documents = 0;
    const texts = this.#trainingTexts(() => documents++);
    const { totalBytes } = this.#sources;
    const onTokens = (tokens: number): void => {
      onProgress?.({ phase: "merges", bytes: totalBytes, totalBytes, documents, tokens });
    };
    const training = trainTokenizer ?? { vocab: trainTokenizerVocab! };
    const json = await trainBpe(texts, training, { onTokens, signal });
    return Tokenizer.fromJson(json, "the trained tokenizer", end);
  }

  /** The documents that are not held out. */
  async *#trainingTexts(onDocument: () => void): AsyncGenerator<SourceText> {
    for await (const text of this.#sources.texts("tokenizer")) {
      if (text.split === "val") continue;
      if (text.first) onDocument();
      yield text;
    }
  }

  async #encode(tokenizer: Tokenizer, train: SplitWriter, val: SplitWriter): Promise<void> {
    const write = async ({ piece: { text, continues, split }, ids }: EncodedPiece): Promise<void> => {
      if (!continues) {
        this.#documents[split]++;
        if (split === "train") [this.#last.position, this.#last.bytes] = [train.tokenCount, 0];
      }
      const bytes = Buffer.byteLength(text);
      this.#bytes[split] += bytes;
      if (split === "train") this.#last.bytes += bytes;
      await (split === "val" ? val : train).write(ids);
    };
    for await (const pieces of encodeDocuments(this.#sources.texts("encode"), tokenizer, availableParallelism())) {
      for (const piece of pieces) await write(piece);
      this.#sources.tokens = train.tokenCount + val.tokenCount;
    }
    const bytes = this.#sources.sources.reduce((sum, source) => sum + source.bytes, 0);
    const documents = this.#documents.train + this.#documents.val;
    const { tokens } = this.#sources;
    this.#options.onProgress?.({ phase: "encode", bytes, totalBytes: bytes, documents, tokens });
  }

  /** Fills an empty validation split from the end of the training split, if there is to be one. */
  async #holdOut(train: SplitWriter, val: SplitWriter): Promise<DatasetInfo["heldOut"]> {
    const { files, val: valFiles, valFraction } = this.#options;
    for (const [split, names] of [["train", files] as const, ["val", valFiles] as const]) {
      if (names.length === 0 || this.#documents[split] > 0) continue;
      throw new DataError(`${names.join(", ")}: expected text but received empty files`);
    }
    if (valFiles.length > 0) return "files";
    if (valFraction === 0) return "none";
    if (this.#documents.val > 0) return "documents";
    const { position, bytes } = this.#last;
    if (this.#documents.train > 1) {
      await train.moveTail(position, val);
      this.#documents.train--;
      this.#documents.val++;
      this.#bytes.train -= bytes;
      this.#bytes.val += bytes;
      return "last-document";
    }
    const total = train.tokenCount;
    const tail = Math.max(1, Math.round(total * valFraction));
    // The leading end-of-text token does not count: by itself it is nothing to train on.
    if (tail > total - 2) {
      throw new DataError(
        `${files.join(", ")}: expected a document of more than ${tail} tokens, as many are held out, ` +
          `but received ${total - 1}; hold nothing out, or give validation files of their own`,
      );
    }
    await train.moveTail(total - tail, val);
    return "tail";
  }

  /** The tokenizer, and what lies beside it. */
  async #writeTokenizer(tokenizer: Tokenizer): Promise<void> {
    await this.#write(TOKENIZER_JSON, tokenizer.json);
    const { tokenizerPath: named } = this.#options;
    if (named === undefined) return;
    const path = await tokenizerPath(named);
    for (const name of TOKENIZER_COMPANIONS) {
      const content = await readCompanion(path, name);
      if (content !== null) await this.#write(name, content);
    }
  }

  async #write(name: string, content: string | Buffer): Promise<void> {
    await writeFile(join(this.#folder, name), content, { flush: true });
  }
}
