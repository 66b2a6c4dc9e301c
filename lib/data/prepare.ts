/** Text to token shards, for `nextpatch prepare` and for programs. */
import { availableParallelism } from "node:os";
import { Arguments } from "../arguments.js";
import { trainTokenizer as trainBpe } from "./bpe.js";
import { type DatasetInfo, vocabularyOf, writeInfo } from "./dataset_info.js";
import { encodeDocuments } from "./encode/encode_documents.js";
import type { SourceText } from "./encode/pieces.js";
import { checkOutFolder, writeFolderAside } from "./outfolder.js";
import { Documents } from "./prepare/documents.js";
import { type CheckedOptions, checkOptions, type PrepareOptions } from "./prepare/options.js";
import { type SplitInfo, Splits } from "./prepare/splits.js";
import { writeTokenizer } from "./prepare/tokenizer_copy.js";
import { type GivenDocuments, GivenTexts } from "./sources/given.js";
import { findSources, type Source } from "./sources.js";
import { bytesPerToken } from "./token_width.js";
import { Tokenizer } from "./tokenizer.js";
import { tokenizerPath } from "./tokenizer_files.js";

export type { DatasetInfo, SourceInfo } from "./dataset_info.js";
export { type MergeOptions, mergeParts } from "./prepare/merge.js";
export { DEFAULT_VAL_FRACTION, type PrepareOptions, type PrepareProgress } from "./prepare/options.js";
export { preparePart } from "./prepare/part.js";
export type { PartInfo, PartNumber } from "./prepare/part_info.js";

/**
 * Encodes documents into the folder `out`: train_000000.bin ..., val_000000.bin ..., the tokenizer's files, and last
 * dataset.json.
 *
 * A document is what the tokenizer, with its post-processor, makes of its text. An end-of-text token precedes it, as in
 * llm.c, unless it begins with that token. Whole documents are held out for validation, chosen by their index: an even
 * spread of `valFraction` of them, never the first. If that leaves validation empty, the last document is held out, or
 * of a single document the last `valFraction` of its tokens. Encoding runs on all cores; the files do not depend on how
 * many. The dataset is complete or absent.
 *
 * @throws TypeError or RangeError for a wrong option, or something else than a text among `documents`
 * @throws ConfigError if `out` is a folder that holds something else, or that another process is filling
 * @throws DataError for sources or a tokenizer that cannot be used; what an iterable of documents throws
 *
 * @example
 * ```ts
 * import { prepareDataset } from "nextpatch";
 *
 * const { tokens, documents } = await prepareDataset({
 *   files: ["text.txt"],
 *   out: "data/mine",
 *   trainTokenizerVocab: 4096,
 *   valFraction: 0.05,
 * });
 * console.log(`${tokens.train} tokens to train on, ${documents.val} documents held out`);
 * ```
 */
export async function prepareDataset(options: PrepareOptions): Promise<DatasetInfo> {
  const check = new Arguments("prepareDataset");
  const checked = checkOptions(check, options);
  const { files, val: valFiles, documents: given, valDocuments, signal } = checked;
  const ofProgram = (name: keyof typeof GIVEN, texts: GivenDocuments) => ({
    sources: [givenSource(new GivenTexts(check, GIVEN[name], texts, signal))],
    notes: [],
  });
  const train = given === undefined ? await findSources(files) : ofProgram("train", given);
  const val = valDocuments === undefined ? await findSources(valFiles) : ofProgram("val", valDocuments);
  for (const note of [...train.notes, ...val.notes]) checked.onNote?.(note);
  await checkOutFolder(checked.out);
  const documents = new Documents(checked, train.sources, val.sources);
  return writeFolderAside(checked.out, async (folder) => {
    try {
      return await new Preparation(checked, folder, documents).run();
    } catch (error) {
      signal?.throwIfAborted(); // what fails then fails because of it
      throw error;
    }
  });
}

/** The names of documents that are given. */
const GIVEN = { train: "documents", val: "valDocuments" } as const;

const givenSource = (given: GivenTexts): Source => ({ file: given.name, bytes: 0, isFile: false, given });

/** One run of prepareDataset. */
class Preparation {
  readonly #options: CheckedOptions;
  readonly #folder: string;
  readonly #sources: Documents;

  constructor(options: CheckedOptions, folder: string, sources: Documents) {
    this.#options = options;
    this.#folder = folder;
    this.#sources = sources;
  }

  async run(): Promise<DatasetInfo> {
    const { tokenizerPath: path, valFraction, dedup } = this.#options;
    // Where a tokenizer is trained, or documents are compared, sources are read more than once.
    if (path === undefined || dedup) await this.#sources.keepPipes(this.#folder);
    if (dedup) await this.#sources.compare();
    const tokenizer = await this.#tokenizer();
    const { documents: given, valDocuments } = this.#options;
    const files = given === undefined ? this.#options.files : [GIVEN.train];
    const val = valDocuments === undefined ? this.#options.val : [GIVEN.val];
    const splits = new Splits(this.#folder, bytesPerToken(tokenizer), { ...this.#options, files, val });
    let split: SplitInfo;
    try {
      await this.#encode(tokenizer, splits);
      split = await splits.finish();
    } catch (error) {
      await splits.abort();
      throw error;
    }
    await this.#sources.dropPipes();
    const { tokens, documents, bytes, heldOut, shards } = split;
    const info: DatasetInfo = {
      ...vocabularyOf(tokenizer),
      tokens,
      documents,
      bytes,
      passedOver: this.#sources.passedOver,
      duplicates: this.#sources.duplicates,
      heldOut,
      valFraction,
      tokenizerSha256: tokenizer.hash,
      shards,
      sources: this.#sources.sources,
    };
    await writeTokenizer(this.#folder, tokenizer.json, path && (await tokenizerPath(path)));
    this.#options.signal?.throwIfAborted();
    await writeInfo(this.#folder, info);
    return info;
  }

  async #tokenizer(): Promise<Tokenizer> {
    const { tokenizerPath: path, training, endOfText, onProgress, signal } = this.#options;
    const end = endOfText === undefined ? {} : { endOfText };
    if (path !== undefined) return Tokenizer.fromFile(path, end);
    let documents = 0;
    const texts = this.#trainingTexts(() => documents++);
    const { totalBytes } = this.#sources;
    const onTokens = (tokens: number): void => {
      onProgress?.({ phase: "merges", bytes: totalBytes, totalBytes, documents, tokens });
    };
    const json = await trainBpe(texts, training!, { onTokens, signal });
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

  async #encode(tokenizer: Tokenizer, splits: Splits): Promise<void> {
    for await (const pieces of encodeDocuments(this.#sources.texts("encode"), tokenizer, availableParallelism())) {
      this.#options.signal?.throwIfAborted();
      for (const { piece, ids, mask } of pieces) {
        await splits.add(piece.split, piece.continues, ids, mask, Buffer.byteLength(piece.text));
      }
      this.#sources.tokens = splits.tokenCount;
    }
    this.#sources.done(splits.documentCount);
  }
}
