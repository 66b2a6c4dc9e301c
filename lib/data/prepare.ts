/** Text to token shards, for `nextpatch prepare`. */
import { rm, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Arguments } from "../arguments.js";
import { DataError } from "../errors.js";
import { checkTokenizerTraining, checkVocab, type TokenizerTraining, trainTokenizer as trainBpe } from "./bpe.js";
import { type EncodedPiece, encodeDocuments } from "./encode/encode_documents.js";
import type { SourceText } from "./encode/pieces.js";
import { checkOutFolder, writeFolderAside } from "./outfolder.js";
import { MAX_SHARD_TOKENS } from "./shard.js";
import type { PassedOver, Source } from "./sources.js";
import { findSources, keepSource, readDocuments } from "./sources.js";
import { moveTail, SplitWriter } from "./split.js";
import { Tokenizer } from "./tokenizer.js";

/** Its fractional part. */
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

/** Default share of the documents held out for validation. */
export const DEFAULT_VAL_FRACTION = 0.01;

/** The progress of `prepareDataset`. */
export interface PrepareProgress {
  /** `tokenizer`: counting words to train on; `merges`: learning from them; `encode`: writing token shards. */
  phase: "tokenizer" | "merges" | "encode";
  /** Bytes of the source files read in this phase. */
  bytes: number;
  /** Bytes of all source files; Infinity if a pipe is among them. */
  totalBytes: number;
  /** Tokens written so far; in the phase `merges`, tokens in the vocabulary so far. */
  tokens: number;
}

/** What `prepareDataset` reads and where it writes. */
export interface PrepareOptions {
  /**
   * Source files, taken in this order: files (sources.ts says which kinds), folders, patterns such as `**\/*.jsonl`, or
   * `-` for standard input.
   */
  files: readonly string[];
  /**
   * Field or column of the text, with dots for one inside another. Default `text`, or the only usual name for it that a
   * file has.
   */
  textField?: string;
  /** Folder to create. An earlier dataset in it is replaced; other files in it are an error. */
  out: string;
  /** A tokenizer.json to encode with, or the folder that holds it; this or `trainTokenizer`. */
  tokenizerPath?: string;
  /** The token that ends a text. Default: `TokenizerOptions.endOfText` of tokenizer.ts. */
  endOfText?: string;
  /** A BPE tokenizer to learn from the documents that are not held out. */
  trainTokenizer?: TokenizerTraining;
  /** `trainTokenizer: { vocab }` in short: a byte-level tokenizer of this size. */
  trainTokenizerVocab?: number;
  /** Share of the documents to hold out, above 0 and below 1. Default 0.01. */
  valFraction?: number;
  /** Tokens per shard file, at most 2^31 - 1. Default 100 million. */
  shardTokens?: number;
  /** Called with what was taken for granted about the sources, to be shown. */
  onNote?: (note: string) => void;
  /** Called after every chunk read. */
  onProgress?: (progress: PrepareProgress) => void;
  /** Aborting it ends the work with the signal's reason and leaves nothing behind. */
  signal?: AbortSignal;
}

/** The content of dataset.json. */
export interface DatasetInfo {
  /** One more than the largest token id. */
  vocabSize: number;
  /** The token before every document. */
  endOfTextId: number;
  /** Of the tokens in the shards. */
  dtype: "uint16" | "uint32";
  tokens: { train: number; val: number };
  documents: { train: number; val: number };
  /** Records that gave no document, because their text is null or empty. */
  passedOver: { null: number; empty: number };
  /**
   * What validation holds: `documents` chosen by their index; the `last-document`, if that rule chose none; or the
   * `tail` of the only document.
   */
  heldOut: "documents" | "last-document" | "tail";
  valFraction: number;
  tokenizerSha256: string;
  sources: { file: string; bytes: number; documents: number }[];
}

/**
 * Encodes documents into the folder `out`: train_000000.bin ..., val_000000.bin ..., tokenizer.json, dataset.json.
 *
 * A document is what the tokenizer, with its post-processor, makes of its text. An end-of-text token precedes it, as in
 * llm.c, unless it begins with that token. Whole documents are held out for validation, chosen by
 * their index: an even spread of `valFraction` of them, never the first. If that leaves validation empty, the last
 * document is held out, or of a single document the last `valFraction` of its tokens. Encoding runs on all cores; the
 * files do not depend on how many. The folder is written under a temporary name and renamed, so it is complete or
 * absent.
 *
 * @throws TypeError or RangeError for a wrong option
 * @throws ConfigError if `out` is a folder that holds something else
 * @throws DataError for sources or a tokenizer that cannot be used
 */
export async function prepareDataset(options: PrepareOptions): Promise<DatasetInfo> {
  const check = new Arguments("prepareDataset");
  const { files, valFraction = DEFAULT_VAL_FRACTION, shardTokens = 100_000_000 } = check.object("options", options);
  checkOptions(check, options);
  check.number("valFraction", valFraction, "a number above 0 and below 1", (share) => share > 0 && share < 1);
  check.wholeNumber("shardTokens", shardTokens, 1, MAX_SHARD_TOKENS);
  const { sources, notes } = await findSources(files);
  for (const note of notes) options.onNote?.(note);
  await checkOutFolder(options.out);
  return writeFolderAside(options.out, (folder) => {
    return new Preparation(options, folder, sources, valFraction, shardTokens).run();
  });
}

/** Checks the options that have no default. */
function checkOptions(check: Arguments, options: PrepareOptions): void {
  const { files, out, textField, tokenizerPath, endOfText, trainTokenizer, trainTokenizerVocab } = options;
  const { onNote, onProgress, signal } = options;
  check.strings("files", files, 1);
  if (textField !== undefined) check.string("textField", textField);
  check.string("out", out);
  const given = Object.entries({ tokenizerPath, trainTokenizer, trainTokenizerVocab }).flatMap(([name, value]) =>
    value === undefined ? [] : [name],
  );
  if (given.length !== 1) {
    const expected = "one of tokenizerPath, trainTokenizer and trainTokenizerVocab";
    check.fail(RangeError, "options", expected, given.length === 0 ? "none" : given.join(" and "));
  }
  if (tokenizerPath !== undefined) check.string("tokenizerPath", tokenizerPath);
  if (endOfText !== undefined) check.string("endOfText", endOfText);
  if (trainTokenizer !== undefined) checkTokenizerTraining(check, "trainTokenizer", trainTokenizer);
  if (trainTokenizerVocab !== undefined) checkVocab(check, "trainTokenizerVocab", { vocab: trainTokenizerVocab });
  check.callback("onNote", onNote);
  check.callback("onProgress", onProgress);
  check.signal("signal", signal);
}

/**
 * Whether the document with this index belongs to validation: if 0.5 + index * golden ratio, modulo 1, is below
 * `valFraction`. No sequence is spread more evenly than these multiples, so unlike with a random choice the share is
 * close to `valFraction` even for few documents. The first never belongs to it, so that training is not empty.
 */
function isHeldOut(index: number, valFraction: number): boolean {
  return index > 0 && (0.5 + index * GOLDEN_RATIO) % 1 < valFraction;
}

/** One run of prepareDataset: the folder being filled and the counts so far. */
class Preparation {
  readonly #options: PrepareOptions;
  readonly #folder: string;
  readonly #valFraction: number;
  readonly #shardTokens: number;
  readonly #sources: DatasetInfo["sources"];
  readonly #totalBytes: number;
  readonly #inputs: Source[];
  readonly #documents = { train: 0, val: 0 };
  readonly #passedOver = { null: 0, empty: 0 };
  readonly #notes = new Set<string>();
  /** Stream position in the training split where its last document begins. */
  #lastDocument = 0;
  #tokens = 0;

  constructor(
    options: PrepareOptions,
    folder: string,
    inputs: readonly Source[],
    valFraction: number,
    shardTokens: number,
  ) {
    this.#options = options;
    this.#folder = folder;
    this.#valFraction = valFraction;
    this.#shardTokens = shardTokens;
    this.#inputs = [...inputs];
    this.#sources = inputs.map(({ file, bytes }) => ({ file, bytes, documents: 0 }));
    const areFiles = inputs.every(({ isFile }) => isFile);
    this.#totalBytes = areFiles ? inputs.reduce((sum, { bytes }) => sum + bytes, 0) : Number.POSITIVE_INFINITY;
  }

  async run(): Promise<DatasetInfo> {
    const tokenizer = await this.#tokenizer();
    const bytesPerToken = tokenizer.vocabSize <= 2 ** 16 ? 2 : 4;
    const train = new SplitWriter(this.#folder, "train", bytesPerToken, this.#shardTokens);
    const val = new SplitWriter(this.#folder, "val", bytesPerToken, this.#shardTokens);
    let heldOut: DatasetInfo["heldOut"] = "documents";
    try {
      await this.#encode(tokenizer, train, val);
      const paths = await train.finish();
      if (this.#documents.train === 0) {
        throw new DataError(`${this.#options.files.join(", ")}: expected text but received empty files`);
      }
      if (this.#documents.val === 0) heldOut = await this.#holdOutEnd(paths, train.tokenCount, val);
      await val.finish();
    } catch (error) {
      await Promise.all([train.abort(), val.abort()]);
      throw error;
    }
    const info: DatasetInfo = {
      vocabSize: tokenizer.vocabSize,
      endOfTextId: tokenizer.endOfTextId,
      dtype: bytesPerToken === 2 ? "uint16" : "uint32",
      tokens: { train: this.#tokens - val.tokenCount, val: val.tokenCount },
      documents: this.#documents,
      passedOver: this.#passedOver,
      heldOut,
      valFraction: this.#valFraction,
      tokenizerSha256: tokenizer.hash,
      sources: this.#sources,
    };
    for (const { path } of this.#inputs) if (path !== undefined) await rm(path);
    await writeFile(join(this.#folder, "tokenizer.json"), tokenizer.json);
    await writeFile(join(this.#folder, "dataset.json"), `${JSON.stringify(info, null, 2)}\n`);
    return info;
  }

  async #tokenizer(): Promise<Tokenizer> {
    const { tokenizerPath, trainTokenizer, trainTokenizerVocab, endOfText, onProgress, signal } = this.#options;
    const end = endOfText === undefined ? {} : { endOfText };
    if (tokenizerPath !== undefined) return Tokenizer.fromFile(tokenizerPath, end);
    // The sources are read a second time to encode them.
    for (const [i, source] of this.#inputs.entries()) {
      this.#inputs[i] = await keepSource(source, join(this.#folder, `pipe-${i}`));
    }
    const onTokens = (tokens: number): void => {
      onProgress?.({ phase: "merges", bytes: this.#totalBytes, totalBytes: this.#totalBytes, tokens });
    };
    const training = trainTokenizer ?? { vocab: trainTokenizerVocab! };
    const json = await trainBpe(this.#trainingTexts(), training, { onTokens, signal });
    return Tokenizer.fromJson(json, "the trained tokenizer", end);
  }

  /** The documents that are not held out. */
  async *#trainingTexts(): AsyncGenerator<SourceText> {
    let index = -1;
    for await (const text of this.#texts("tokenizer")) {
      if (text.first) index++;
      if (!isHeldOut(index, this.#valFraction)) yield text;
    }
  }

  async *#texts(phase: PrepareProgress["phase"]): AsyncGenerator<SourceText> {
    const { onProgress, signal } = this.#options;
    let bytes = 0;
    for (const [source, { file, path, isFile }] of this.#inputs.entries()) {
      const onBytes = (count: number): void => {
        bytes += count;
        // A pipe does not say how much it will give.
        if (phase === "encode" && !isFile) this.#sources[source]!.bytes += count;
        onProgress?.({ phase, bytes, totalBytes: this.#totalBytes, tokens: this.#tokens });
      };
      const onPassedOver = (reason: PassedOver): void => {
        if (phase === "encode") this.#passedOver[reason]++;
      };
      const onNote = (note: string): void => this.#note(note);
      const read = { textField: this.#options.textField, path, onPassedOver, onNote };
      for await (const text of readDocuments(file, onBytes, read)) {
        signal?.throwIfAborted();
        yield { ...text, source, file };
      }
    }
  }

  /** A source is read twice where a tokenizer is trained; what is noted is the same. */
  #note(note: string): void {
    if (!this.#notes.has(note)) this.#options.onNote?.(note);
    this.#notes.add(note);
  }

  async #encode(tokenizer: Tokenizer, train: SplitWriter, val: SplitWriter): Promise<void> {
    let index = -1;
    const write = async ({ piece, ids }: EncodedPiece): Promise<void> => {
      if (!piece.continues) index++;
      const split = isHeldOut(index, this.#valFraction) ? "val" : "train";
      const writer = split === "val" ? val : train;
      if (!piece.continues) {
        this.#documents[split]++;
        this.#sources[piece.source]!.documents++;
        if (split === "train") this.#lastDocument = train.tokenCount;
      }
      await writer.write(ids);
    };
    for await (const pieces of encodeDocuments(this.#texts("encode"), tokenizer, availableParallelism())) {
      for (const piece of pieces) await write(piece);
      this.#tokens = train.tokenCount + val.tokenCount;
    }
    const bytes = this.#sources.reduce((sum, source) => sum + source.bytes, 0);
    this.#options.onProgress?.({ phase: "encode", bytes, totalBytes: bytes, tokens: this.#tokens });
  }

  /** Fills an empty validation split from the end of the training split. */
  async #holdOutEnd(paths: string[], total: number, val: SplitWriter): Promise<DatasetInfo["heldOut"]> {
    if (this.#documents.train > 1) {
      await moveTail(paths, this.#lastDocument, val);
      this.#documents.train--;
      this.#documents.val++;
      return "last-document";
    }
    const tail = Math.max(1, Math.round(total * this.#valFraction));
    // The leading end-of-text token does not count: by itself it is nothing to train on.
    if (tail > total - 2) {
      throw new DataError(
        `${this.#options.files.join(", ")}: expected a document of more than ${tail} tokens, as many are held out, ` +
          `but received ${total - 1}`,
      );
    }
    await moveTail(paths, total - tail, val);
    return "tail";
  }
}
