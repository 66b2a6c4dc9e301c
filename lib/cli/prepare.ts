/** `nextpatch prepare`: text to token shards. */

import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { show } from "../arguments.js";
import type { DatasetInfo, PartInfo, PartNumber, PrepareOptions, PrepareProgress } from "../data/prepare.js";
import { DEFAULT_VAL_FRACTION, mergeParts, prepareDataset, preparePart } from "../data/prepare.js";
import { ConfigError } from "../errors.js";
import { formatDuration, plural } from "../report/format.js";
import { collect } from "./arguments.js";
import type { CliIo } from "./io.js";
import { onSignals } from "./signals.js";
import { flagName, fromFlags } from "./usage.js";

/** Vocabulary to train if the command names no tokenizer. */
const DEFAULT_VOCAB = 4096;

/** The flags that `prepareDataset` gets its options from. */
const flagOf = {
  files: "files",
  textField: "--text-field",
  promptField: "--prompt-field",
  out: "--out",
  tokenizerPath: "--tokenizer",
  endOfText: "--end-of-text",
  trainTokenizer: "--train-tokenizer",
  "trainTokenizer.special": "--special",
  val: "--val",
  valFraction: "--val-fraction",
  dedup: "--dedup",
};

interface Flags {
  out: string;
  textField?: string;
  promptField?: string;
  tokenizer?: string;
  endOfText?: string;
  trainTokenizer?: number;
  special?: string[];
  splitDigits?: true;
  byteFallback?: true;
  val?: string[];
  valFraction?: number;
  dedup?: true;
  part?: PartNumber;
  merge?: string[];
}

export function registerPrepare(program: Command, io: CliIo): void {
  program
    .command("prepare")
    .description("turn text into token shards: .txt .md .jsonl .json .csv .parquet .arrow, also as .gz .zst .xz .bz2")
    .argument("[files...]", 'files, folders, quoted patterns such as "**/*.jsonl", or - for standard input')
    .requiredOption("--out <dir>", "folder for the dataset; replaces an earlier dataset there")
    .option(
      "--text-field <name>",
      'field or column of the text, with dots for one inside another (default: "text", or its only usual name there)',
    )
    .option(
      "--prompt-field <name>",
      'field or column of a prompt before the text, which does not count in the loss; --text-field: "completion"',
    )
    .option("--tokenizer <tokenizer.json>", "tokenizer to encode with, or its folder")
    .option(
      "--end-of-text <token>",
      "token before every document, which a trained tokenizer gets (default: the tokenizer's own)",
    )
    .option("--train-tokenizer <vocab>", `train a BPE tokenizer of this size (default: ${DEFAULT_VOCAB})`, number)
    .option("--special <token>", "special token of the trained tokenizer (repeatable)", collect)
    .option("--split-digits", "train a tokenizer that gives every digit a token of its own")
    .option("--byte-fallback", "train a tokenizer of characters that spells rare ones as bytes, as Llama 2's")
    .option(
      "--val-fraction <fraction>",
      `share of the documents to hold out for validation; 0: none (default: ${DEFAULT_VAL_FRACTION})`,
      number,
    )
    .option("--val <files...>", "files with the documents of validation, instead of a share")
    .option("--part <I/N>", "prepare the I-th of N parts, to be joined with --merge; needs --tokenizer", partNumber)
    .option("--merge <dirs...>", "join the parts of a dataset, instead of reading files")
    .option("--dedup", "drop documents whose text is exactly that of an earlier one, or of one for validation")
    .action(async (files: string[], flags: Flags) => prepare(files, flags, io));
}

async function prepare(files: string[], flags: Flags, io: CliIo): Promise<void> {
  checkUse(files, flags);
  const work = flags.merge === undefined ? preparation(files, flags, io) : merging(flags.merge, flags.out);
  const start = performance.now();
  const interrupt = new AbortController();
  const stop = onSignals({
    end: () => {
      interrupt.abort(new Error("interrupted: nothing was written"));
      // It may give nothing for a long time.
      if (files.includes("-")) process.stdin.on("error", () => undefined).destroy(interrupt.signal.reason as Error);
    },
  });
  const progress = phaseProgress(io, flags.trainTokenizer ?? DEFAULT_VOCAB);
  try {
    const info = await work({ onProgress: progress.update, signal: interrupt.signal });
    progress.stop();
    const seconds = (performance.now() - start) / 1000;
    const words = "part" in info ? partSummary(flags.out, info) : summary(flags.out, info);
    io.result(`${words}\n${seconds.toFixed(1)} s`, { out: flags.out, ...info, seconds });
  } finally {
    progress.stop();
    stop();
  }
}

/** What all ways of preparing are given. */
type Watched = Required<Pick<PrepareOptions, "onProgress" | "signal">>;
type Work = (watched: Watched) => Promise<DatasetInfo | PartInfo>;

/** Checks the flags that exclude each other. @throws ConfigError */
function checkUse(files: readonly string[], flags: Flags): void {
  const { merge, part, tokenizer, out: _, ...rest } = flags;
  if (merge === undefined) {
    if (files.length === 0)
      throw new ConfigError("files: expected files to prepare, or parts to --merge, but received none");
    if (part !== undefined && tokenizer === undefined) {
      throw new ConfigError(
        "--part: expected --tokenizer beside it, as all parts need the same, but received none; train one first: " +
          "prepare --train-tokenizer writes a tokenizer.json",
      );
    }
    return;
  }
  const others = { ...rest, part, tokenizer };
  const given =
    Object.entries(others).find(([, value]) => value !== undefined)?.[0] ?? (files.length > 0 ? "files" : null);
  if (given === null) return;
  const name = given === "files" ? given : flagName(given);
  throw new ConfigError(`--merge: expected --out alone beside it, as the parts say the rest, but received ${name}`);
}

function preparation(files: readonly string[], flags: Flags, io: CliIo): Work {
  const tokenizer = tokenizerOf(flags);
  if (flags.tokenizer === undefined && flags.trainTokenizer === undefined) {
    io.log(
      `no tokenizer named: training one of ${DEFAULT_VOCAB} tokens (choose with --tokenizer or --train-tokenizer)`,
    );
  }
  const options = {
    files,
    out: flags.out,
    ...tokenizer,
    ...given(flags, ["val", "valFraction", "textField", "promptField", "endOfText", "dedup"]),
    onNote: io.log,
  };
  const { part } = flags;
  return (watched) =>
    part === undefined
      ? fromFlags("prepareDataset", flagOf, () => prepareDataset({ ...options, ...watched }))
      : fromFlags("preparePart", { ...flagOf, part: "--part" }, () => preparePart({ ...options, ...watched }, part));
}

function merging(parts: readonly string[], out: string): Work {
  return (watched) =>
    fromFlags("mergeParts", { parts: "--merge", out: "--out" }, () => mergeParts({ parts, out, ...watched }));
}

/** The option of `prepareDataset` that names the tokenizer or says how to train one. */
function tokenizerOf(flags: Flags): Pick<PrepareOptions, "tokenizerPath" | "trainTokenizer"> {
  const { tokenizer, trainTokenizer, special, splitDigits, byteFallback } = flags;
  if (tokenizer === undefined) {
    return {
      trainTokenizer: {
        vocab: trainTokenizer ?? DEFAULT_VOCAB,
        ...(special === undefined ? {} : { special }),
        ...(splitDigits === undefined ? {} : { splitDigits }),
        ...(byteFallback === undefined ? {} : { byteFallback }),
      },
    };
  }
  const training = { "--train-tokenizer": trainTokenizer, "--special": special, "--split-digits": splitDigits };
  for (const [flag, value] of Object.entries({ ...training, "--byte-fallback": byteFallback })) {
    if (value === undefined) continue;
    throw new ConfigError(`--tokenizer, ${flag}: expected at most one of the two but received both`);
  }
  return { tokenizerPath: tokenizer };
}

/** The flags of these names that were given. */
function given<K extends keyof Flags>(flags: Flags, names: readonly K[]): Partial<Pick<Flags, K>> {
  return Object.fromEntries(
    names.flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]])),
  ) as Partial<Pick<Flags, K>>;
}

const labels = {
  duplicates: "comparing documents",
  tokenizer: "training the tokenizer",
  merges: "learning merges",
  encode: "encoding",
};

/** Shows one progress bar per phase. */
function phaseProgress(io: CliIo, vocab: number): { update(progress: PrepareProgress): void; stop(): void } {
  let current: { phase: PrepareProgress["phase"]; start: number; bar: ReturnType<CliIo["progress"]> } | undefined;
  const stop = (): void => {
    current?.bar.stop();
    current = undefined;
  };
  const update = (progress: PrepareProgress): void => {
    const { phase, bytes, totalBytes, tokens } = progress;
    if (current?.phase !== phase) {
      stop();
      current = { phase, start: performance.now(), bar: io.progress(labels[phase]) };
    }
    if (phase === "merges") current.bar.update(tokens, vocab, `${tokens} of ${vocab} tokens`);
    else current.bar.update(bytes, totalBytes, note(progress, (performance.now() - current.start) / 1000));
  };
  return { update, stop };
}

/** How fast it goes, how much there is by now, and how long it takes. */
function note({ phase, bytes, totalBytes, documents, tokens }: PrepareProgress, seconds: number): string {
  const count = (value: number): string => value.toLocaleString("en");
  const left = (seconds * (totalBytes - bytes)) / bytes;
  return [
    `${(bytes / 1e6 / seconds).toFixed(1)} MB/s`,
    `${count(documents)} ${plural(documents, "document")}`,
    ...(phase === "encode" ? [`${count(tokens)} tokens`] : []),
    ...(Number.isFinite(left) && left > 0 ? [`ETA ${formatDuration(left)}`] : []),
  ].join(" | ");
}

function partSummary(out: string, { part, tokens, documents, own }: PartInfo): string {
  const files = own[1] - own[0];
  return (
    `${out}: part ${part.index} of ${part.of}: ${tokens} tokens from ${documents} ${plural(documents, "document")} in ${files} ${plural(files, "file")}; ` +
    "join all parts with prepare --merge"
  );
}

function summary(out: string, info: DatasetInfo): string {
  const { tokens, documents, passedOver, duplicates } = info;
  const labels = labelsOf(info);
  const without = passedOver.null + passedOver.empty;
  const held = {
    documents: `${documents.val} ${plural(documents.val, "document")}`,
    "last-document": "the last document",
    tail: "the end of the only document",
    files: `${documents.val} ${plural(documents.val, "document")} given apart`,
    none: "",
  };
  return [
    `${out}: ${tokens.train} training tokens from ${documents.train} ${plural(documents.train, "document")}, vocabulary ${info.vocabSize}`,
    ...(labels === null ? [] : [`tokens that count in the loss: ${labels.train} for training, ${labels.val} held out`]),
    info.heldOut === "none"
      ? "held out for validation: nothing"
      : `held out for validation: ${tokens.val} tokens, ${held[info.heldOut]}`,
    ...(without === 0
      ? []
      : [`records passed over: ${passedOver.null} with a null text, ${passedOver.empty} with an empty one`]),
    ...(duplicates === 0 ? [] : [`duplicates dropped: ${duplicates}`]),
  ].join("\n");
}

/** Tokens that count in the loss; null: all do. */
function labelsOf({ shards }: DatasetInfo): Record<"train" | "val", number> | null {
  if (shards.every(({ mask }) => mask === undefined)) return null;
  const labels = { train: 0, val: 0 };
  for (const { file, mask, tokens } of shards) {
    labels[file.startsWith("val") ? "val" : "train"] += mask?.labels ?? tokens;
  }
  return labels;
}

function partNumber(text: string): PartNumber {
  const [, index, of] = /^([1-9]\d*)\/([1-9]\d*)$/.exec(text) ?? [];
  if (index === undefined || Number(index) > Number(of)) {
    throw new InvalidArgumentError(`expected I/N, such as 1/4, with I from 1 to N but received ${show(text)}`);
  }
  return { index: Number(index), of: Number(of) };
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value))
    throw new InvalidArgumentError(`expected a number but received ${show(text)}`);
  return value;
}
