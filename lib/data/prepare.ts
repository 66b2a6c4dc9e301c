/** Text to token shards, for `nextpatch prepare`. */
import { stat, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Arguments } from "../arguments.js";
import { DataError, unusable } from "../errors.js";
import { checkTokenizerTraining, checkVocab, type TokenizerTraining, trainTokenizer as trainBpe } from "./bpe.js";
import { checkOutFolder, writeFolderAside } from "./outfolder.js";
import { MAX_SHARD_TOKENS } from "./shard.js";
import type { TextPiece } from "./sources.js";
import { readDocuments, sourceFormat } from "./sources.js";
import { moveTail, SplitWriter } from "./split.js";
import { Tokenizer } from "./tokenizer.js";

/** Text given to the tokenizer's threads at a time, in UTF-16 units per core: enough to keep them busy. */
const BATCH_PER_CORE = 1 << 17;

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
  /** Bytes of all source files. */
  totalBytes: number;
  /** Tokens written so far; in the phase `merges`, tokens in the vocabulary so far. */
  tokens: number;
}

/** What `prepareDataset` reads and where it writes. */
export interface PrepareOptions {
  /** Source files (sources.ts says which kinds), taken in this order. */
  files: readonly string[];
  /** Folder to create. An earlier dataset in it is replaced; other files in it are an error. */
  out: string;
  /** A tokenizer.json to encode with; this or `trainTokenizer`. */
  tokenizerPath?: string;
  /** A BPE tokenizer to learn from the documents that are not held out. */
  trainTokenizer?: TokenizerTraining;
  /** `trainTokenizer: { vocab }` in short: a byte-level tokenizer of this size. */
  trainTokenizerVocab?: number;
  /** Share of the documents to hold out, above 0 and below 1. Default 0.01. */
  valFraction?: number;
  /** Tokens per shard file, at most 2^31 - 1. Default 100 million. */
  shardTokens?: number;
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
 * An end-of-text token precedes every document, as in llm.c. Whole documents are held out for validation, chosen by
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
  const bytes = await Promise.all(files.map(sourceBytes));
  await checkOutFolder(options.out);
  return writeFolderAside(options.out, (folder) => {
    return new Preparation(options, folder, bytes, valFraction, shardTokens).run();
  });
}

/** Checks the options that have no default. */
function checkOptions(check: Arguments, options: PrepareOptions): void {
  const { files, out, tokenizerPath, trainTokenizer, trainTokenizerVocab, onProgress, signal } = options;
  check.strings("files", files, 1);
  check.string("out", out);
  const given = Object.entries({ tokenizerPath, trainTokenizer, trainTokenizerVocab }).flatMap(([name, value]) =>
    value === undefined ? [] : [name],
  );
  if (given.length !== 1) {
    const expected = "one of tokenizerPath, trainTokenizer and trainTokenizerVocab";
    check.fail(RangeError, "options", expected, given.length === 0 ? "none" : given.join(" and "));
  }
  if (tokenizerPath !== undefined) check.string("tokenizerPath", tokenizerPath);
  if (trainTokenizer !== undefined) checkTokenizerTraining(check, "trainTokenizer", trainTokenizer);
  if (trainTokenizerVocab !== undefined) checkVocab(check, "trainTokenizerVocab", { vocab: trainTokenizerVocab });
  check.callback("onProgress", onProgress);
  check.signal("signal", signal);
}

async function sourceBytes(file: string): Promise<number> {
  sourceFormat(file);
  const facts = await stat(file).catch((cause: unknown) => {
    throw new DataError(`${file}: expected text but received ${unusable(cause)}`, { cause });
  });
  if (!facts.isFile()) throw new DataError(`${file}: expected a file but received a folder or a device`);
  return facts.size;
}

/**
 * Whether the document with this index belongs to validation: if 0.5 + index * golden ratio, modulo 1, is below
 * `valFraction`. No sequence is spread more evenly than these multiples, so unlike with a random choice the share is
 * close to `valFraction` even for few documents. The first never belongs to it, so that training is not empty.
 */
function isHeldOut(index: number, valFraction: number): boolean {
  return index > 0 && (0.5 + index * GOLDEN_RATIO) % 1 < valFraction;
}

interface SourcePiece extends TextPiece {
  source: number;
}

/** One run of prepareDataset: the folder being filled and the counts so far. */
class Preparation {
  readonly #options: PrepareOptions;
  readonly #folder: string;
  readonly #valFraction: number;
  readonly #shardTokens: number;
  readonly #sources: DatasetInfo["sources"];
  readonly #totalBytes: number;
  readonly #documents = { train: 0, val: 0 };
  /** Stream position in the training split where its last document begins. */
  #lastDocument = 0;
  #tokens = 0;

  constructor(options: PrepareOptions, folder: string, bytes: number[], valFraction: number, shardTokens: number) {
    this.#options = options;
    this.#folder = folder;
    this.#valFraction = valFraction;
    this.#shardTokens = shardTokens;
    this.#sources = options.files.map((file, i) => ({ file, bytes: bytes[i]!, documents: 0 }));
    this.#totalBytes = bytes.reduce((sum, size) => sum + size, 0);
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
      heldOut,
      valFraction: this.#valFraction,
      tokenizerSha256: tokenizer.hash,
      sources: this.#sources,
    };
    await writeFile(join(this.#folder, "tokenizer.json"), tokenizer.json);
    await writeFile(join(this.#folder, "dataset.json"), `${JSON.stringify(info, null, 2)}\n`);
    return info;
  }

  async #tokenizer(): Promise<Tokenizer> {
    const { tokenizerPath, trainTokenizer, trainTokenizerVocab, onProgress, signal } = this.#options;
    if (tokenizerPath !== undefined) return Tokenizer.fromFile(tokenizerPath);
    const onTokens = (tokens: number): void => {
      onProgress?.({ phase: "merges", bytes: this.#totalBytes, totalBytes: this.#totalBytes, tokens });
    };
    const training = trainTokenizer ?? { vocab: trainTokenizerVocab! };
    return Tokenizer.fromJson(await trainBpe(this.#trainingPieces(), training, { onTokens, signal }));
  }

  /** The documents that are not held out. */
  async *#trainingPieces(): AsyncGenerator<SourcePiece> {
    let index = -1;
    for await (const piece of this.#pieces("tokenizer")) {
      if (piece.first) index++;
      if (!isHeldOut(index, this.#valFraction)) yield piece;
    }
  }

  async *#pieces(phase: PrepareProgress["phase"]): AsyncGenerator<SourcePiece> {
    const { files, onProgress, signal } = this.#options;
    let bytes = 0;
    for (const [source, file] of files.entries()) {
      const onBytes = (count: number): void => {
        bytes += count;
        onProgress?.({ phase, bytes, totalBytes: this.#totalBytes, tokens: this.#tokens });
      };
      for await (const piece of readDocuments(file, onBytes)) {
        signal?.throwIfAborted();
        yield { ...piece, source };
      }
    }
  }

  async #encode(tokenizer: Tokenizer, train: SplitWriter, val: SplitWriter): Promise<void> {
    const separator = Uint32Array.of(tokenizer.endOfTextId);
    let index = -1;
    const write = async (pieces: SourcePiece[], encoded: Uint32Array[]): Promise<void> => {
      for (const [i, { first, source }] of pieces.entries()) {
        if (first) index++;
        const split = isHeldOut(index, this.#valFraction) ? "val" : "train";
        const writer = split === "val" ? val : train;
        if (first) {
          this.#documents[split]++;
          this.#sources[source]!.documents++;
          if (split === "train") this.#lastDocument = train.tokenCount;
          await writer.write(separator);
        }
        await writer.write(encoded[i]!);
      }
      this.#tokens = train.tokenCount + val.tokenCount;
    };
    // A batch is encoded on the tokenizer's threads while the previous one is written.
    let previous: { pieces: SourcePiece[]; encoded: Promise<Uint32Array[]> } | undefined;
    for await (const pieces of batches(this.#pieces("encode"))) {
      const encoded = tokenizer.encodeBatch(pieces.map(({ text }) => text));
      encoded.catch(() => undefined); // awaited below, unless writing the previous batch fails first
      if (previous !== undefined) await write(previous.pieces, await previous.encoded);
      previous = { pieces, encoded };
    }
    if (previous !== undefined) await write(previous.pieces, await previous.encoded);
    const bytes = this.#totalBytes;
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

/** Gathers pieces into batches that keep every core busy. */
async function* batches(pieces: AsyncIterable<SourcePiece>): AsyncGenerator<SourcePiece[]> {
  const enough = BATCH_PER_CORE * availableParallelism();
  let batch: SourcePiece[] = [];
  let length = 0;
  for await (const piece of pieces) {
    batch.push(piece);
    length += piece.text.length;
    if (length >= enough) {
      yield batch;
      batch = [];
      length = 0;
    }
  }
  if (batch.length > 0) yield batch;
}
