/** What `prepareDataset` may be told. */
import type { Arguments } from "../../arguments.js";
import { checkTokenizerTraining, checkVocab, type TokenizerTraining, withEndOfText } from "../bpe.js";
import { MAX_SHARD_TOKENS } from "../shard.js";
import { checkGiven, type GivenDocuments } from "../sources/given.js";
import { COMPLETION } from "../sources/text_field.js";

/** Default share of the documents held out for validation. */
export const DEFAULT_VAL_FRACTION = 0.01;

/** Default number of tokens of a shard. */
export const DEFAULT_SHARD_TOKENS = 100_000_000;

/** The progress of `prepareDataset`. */
export interface PrepareProgress {
  /**
   * `duplicates`: comparing documents; `tokenizer`: counting words to train on; `merges`: learning from them; `encode`:
   * writing token shards.
   */
  phase: "duplicates" | "tokenizer" | "merges" | "encode";
  /** Bytes of the source files read in this phase. */
  bytes: number;
  /** Bytes of all source files; Infinity if a pipe is among them, or documents are given. */
  totalBytes: number;
  /** Documents read in this phase. */
  documents: number;
  /** Tokens written so far; in the phase `merges`, tokens in the vocabulary so far. */
  tokens: number;
}

/** What `prepareDataset` reads and where it writes. */
export interface PrepareOptions {
  /**
   * Source files, taken in this order: files (sources.ts says which kinds), folders, patterns such as `**\/*.jsonl`, or
   * `-` for standard input. These or `documents`.
   */
  files?: readonly string[];
  /**
   * The documents themselves: texts, or objects with a `text` and perhaps a `prompt` before it, whose tokens do not count
   * in the loss, in an array, an iterable or an async iterable, which is read once and no faster than they are encoded. What
   * it throws, `prepareDataset` rejects with.
   */
  documents?: GivenDocuments;
  /** Files, folders and patterns with the documents of validation. Then none of the others is held out. */
  val?: readonly string[];
  /** The documents of validation themselves, as `documents`. These or `val`. */
  valDocuments?: GivenDocuments;
  /**
   * Field or column of the text, with dots for one inside another. Default `text`, or the only usual name for it that a
   * file has.
   */
  textField?: string;
  /**
   * Field or column of a prompt that goes before the text, with dots for one inside another: its tokens do not count in
   * the loss (docs/data.md). Text files have none. The text's field is then `completion` unless told.
   */
  promptField?: string;
  /**
   * Folder to fill. It is created, or may be an empty one, which stays; an earlier dataset in it is replaced; other
   * files in it are an error.
   */
  out: string;
  /** A tokenizer.json to encode with, or the folder that holds it; this or `trainTokenizer`. */
  tokenizerPath?: string;
  /**
   * The token that ends a text; a tokenizer that is trained gets it as a special token. Default:
   * `TokenizerOptions.endOfText` of tokenizer.ts.
   */
  endOfText?: string;
  /** A BPE tokenizer to learn from the documents that are not held out. */
  trainTokenizer?: TokenizerTraining;
  /** `trainTokenizer: { vocab }` in short: a byte-level tokenizer of this size. */
  trainTokenizerVocab?: number;
  /** Share of the documents to hold out, from 0 (none) to below 1. Default 0.01, with documents of validation 0. */
  valFraction?: number;
  /**
   * Drops every document whose text is exactly that of an earlier one, or of one of validation. Reads the sources once more.
   * Default false.
   */
  dedup?: boolean;
  /** Tokens per shard file, at most 2^31 - 1. Default 100 million. */
  shardTokens?: number;
  /** Called with what was taken for granted about the sources, to be shown. */
  onNote?: (note: string) => void;
  /** Called after every chunk read. */
  onProgress?: (progress: PrepareProgress) => void;
  /** Aborting it ends the work with the signal's reason and leaves nothing behind. */
  signal?: AbortSignal;
}

/** Options with their defaults, checked. */
export interface CheckedOptions extends PrepareOptions {
  /** Empty: `documents` are given. */
  files: readonly string[];
  /** Empty: `valDocuments` are given, or none. */
  val: readonly string[];
  valFraction: number;
  shardTokens: number;
  dedup: boolean;
  /** The tokenizer to train, with the end-of-text token; undefined: there is one. */
  training: TokenizerTraining | undefined;
}

/** Checks options and fills in their defaults. @throws TypeError, RangeError */
export function checkOptions(check: Arguments, options: PrepareOptions): CheckedOptions {
  const { out, tokenizerPath, endOfText, trainTokenizer, trainTokenizerVocab } = check.options("options", options, [
    "files",
    "documents",
    "val",
    "valDocuments",
    "textField",
    "promptField",
    "out",
    "tokenizerPath",
    "endOfText",
    "trainTokenizer",
    "trainTokenizerVocab",
    "valFraction",
    "dedup",
    "shardTokens",
    "onNote",
    "onProgress",
    "signal",
  ]);
  const sources = checkSources(check, options);
  check.path("out", out);
  const given = Object.entries({ tokenizerPath, trainTokenizer, trainTokenizerVocab }).flatMap(([name, value]) =>
    value === undefined ? [] : [name],
  );
  if (given.length !== 1) {
    const expected = "one of tokenizerPath, trainTokenizer and trainTokenizerVocab";
    check.fail(RangeError, "options", expected, given.length === 0 ? "none" : given.join(" and "));
  }
  if (tokenizerPath !== undefined) check.path("tokenizerPath", tokenizerPath);
  if (endOfText !== undefined) check.string("endOfText", endOfText);
  if (trainTokenizer !== undefined) checkTokenizerTraining(check, "trainTokenizer", trainTokenizer);
  const asked = trainTokenizer ?? (trainTokenizerVocab === undefined ? undefined : { vocab: trainTokenizerVocab });
  const training = asked && withEndOfText(asked, endOfText);
  if (trainTokenizer !== undefined) checkVocab(check, "trainTokenizer.vocab", training!);
  if (trainTokenizerVocab !== undefined) checkVocab(check, "trainTokenizerVocab", training!);
  const apart = sources.val.length > 0 || sources.valDocuments !== undefined;
  const { valFraction = apart ? 0 : DEFAULT_VAL_FRACTION, dedup = false } = options;
  const { shardTokens = DEFAULT_SHARD_TOKENS, onNote, onProgress, signal } = options;
  check.number("valFraction", valFraction, "a number from 0 to below 1", (share) => share >= 0 && share < 1);
  if (apart && valFraction !== 0) {
    const name = sources.valDocuments === undefined ? "val" : "valDocuments";
    const expected = `0 or nothing beside ${name}, which holds all of validation,`;
    check.fail(RangeError, "valFraction", expected, `${valFraction}`);
  }
  check.boolean("dedup", dedup);
  check.wholeNumber("shardTokens", shardTokens, 1, MAX_SHARD_TOKENS);
  check.callback("onNote", onNote);
  check.callback("onProgress", onProgress);
  check.signal("signal", signal);
  // Each is read once, and those that an object inherits, too.
  return {
    ...sources,
    out,
    valFraction,
    shardTokens,
    dedup,
    training,
    ...(tokenizerPath !== undefined && { tokenizerPath }),
    ...(endOfText !== undefined && { endOfText }),
    ...(onNote !== undefined && { onNote }),
    ...(onProgress !== undefined && { onProgress }),
    ...(signal !== undefined && { signal }),
  };
}

/** Checks what is read. */
function checkSources(check: Arguments, options: PrepareOptions) {
  const { files, documents, val, valDocuments, textField, promptField } = options;
  if (documents !== undefined) {
    checkGiven(check, "documents", documents);
    if (files !== undefined) check.fail(RangeError, "options", "files or documents", "both");
  }
  if (valDocuments !== undefined) {
    checkGiven(check, "valDocuments", valDocuments);
    if (val !== undefined) check.fail(RangeError, "options", "val or valDocuments", "both");
  }
  const fromFiles = documents === undefined || val !== undefined;
  for (const [name, field] of Object.entries({ textField, promptField })) {
    if (field === undefined || fromFiles) continue;
    check.fail(RangeError, name, "none beside documents, which have their own,", "one");
  }
  if (documents === undefined && files === undefined) check.fail(TypeError, "files", "some, or documents,", "neither");
  if (textField !== undefined) check.string("textField", textField);
  if (promptField !== undefined) {
    check.string("promptField", promptField);
    const text = textField ?? COMPLETION;
    if (promptField === text) check.fail(RangeError, "promptField", `another field than the text's, "${text}",`, "it");
  }
  return {
    files: documents === undefined ? check.paths("files", files, 1) : [],
    ...(documents !== undefined && { documents }),
    val: val === undefined ? [] : check.paths("val", val, 1),
    ...(valDocuments !== undefined && { valDocuments }),
    ...(textField !== undefined && { textField }),
    ...(promptField !== undefined && { promptField }),
  };
}
