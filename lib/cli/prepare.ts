/** `nextpatch prepare`: text to token shards. */

import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { show } from "../arguments.js";
import type { DatasetInfo, PrepareOptions, PrepareProgress } from "../data/prepare.js";
import { DEFAULT_VAL_FRACTION, prepareDataset } from "../data/prepare.js";
import { ConfigError } from "../errors.js";
import type { CliIo } from "./io.js";
import { fromFlags } from "./usage.js";

/** Vocabulary to train if the command names no tokenizer. */
const DEFAULT_VOCAB = 4096;

/** The flags that `prepareDataset` gets its options from. */
const flagOf = {
  files: "files",
  textField: "--text-field",
  out: "--out",
  tokenizerPath: "--tokenizer",
  endOfText: "--end-of-text",
  trainTokenizer: "--train-tokenizer",
  "trainTokenizer.special": "--special",
  valFraction: "--val-fraction",
};

interface Flags {
  out: string;
  textField?: string;
  tokenizer?: string;
  endOfText?: string;
  trainTokenizer?: number;
  special?: string[];
  splitDigits?: true;
  byteFallback?: true;
  valFraction: number;
}

export function registerPrepare(program: Command, io: CliIo): void {
  program
    .command("prepare")
    .description("turn text into token shards: .txt .md .jsonl .json .csv .parquet .arrow, also as .gz .zst .xz .bz2")
    .argument("<files...>", 'files, folders, quoted patterns such as "**/*.jsonl", or - for standard input')
    .requiredOption("--out <dir>", "folder for the dataset; replaces an earlier dataset there")
    .option(
      "--text-field <name>",
      'field or column of the text, with dots for one inside another (default: "text", or its only usual name there)',
    )
    .option("--tokenizer <tokenizer.json>", "tokenizer to encode with, or its folder")
    .option("--end-of-text <token>", "token before every document (default: the tokenizer's own)")
    .option("--train-tokenizer <vocab>", `train a BPE tokenizer of this size (default: ${DEFAULT_VOCAB})`, number)
    .option("--special <token>", "special token of the trained tokenizer (repeatable)", appended)
    .option("--split-digits", "train a tokenizer that gives every digit a token of its own")
    .option("--byte-fallback", "train a tokenizer of characters that spells rare ones as bytes, as Llama 2's")
    .option(
      "--val-fraction <fraction>",
      "share of the documents to hold out for validation",
      number,
      DEFAULT_VAL_FRACTION,
    )
    .action(async (files: string[], flags: Flags) => prepare(files, flags, io));
}

async function prepare(files: string[], flags: Flags, io: CliIo): Promise<void> {
  const tokenizer = tokenizerOf(flags);
  if (flags.tokenizer === undefined && flags.trainTokenizer === undefined) {
    io.log(
      `no tokenizer named: training one of ${DEFAULT_VOCAB} tokens (choose with --tokenizer or --train-tokenizer)`,
    );
  }
  const start = performance.now();
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort(new Error("interrupted"));
  process.once("SIGINT", onInterrupt);
  const progress = phaseProgress(io, flags.trainTokenizer ?? DEFAULT_VOCAB);
  try {
    const options = {
      files,
      out: flags.out,
      ...tokenizer,
      valFraction: flags.valFraction,
      textField: flags.textField,
      endOfText: flags.endOfText,
      onNote: io.log,
      onProgress: progress.update,
      signal: interrupt.signal,
    };
    const info = await fromFlags("prepareDataset", flagOf, () => prepareDataset(options));
    progress.stop();
    const seconds = (performance.now() - start) / 1000;
    io.result(summary(flags.out, info, seconds), { out: flags.out, ...info, seconds });
  } finally {
    progress.stop();
    process.removeListener("SIGINT", onInterrupt);
  }
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

/** Shows one progress bar per phase. */
function phaseProgress(io: CliIo, vocab: number): { update(progress: PrepareProgress): void; stop(): void } {
  const labels = { tokenizer: "training the tokenizer", merges: "learning merges", encode: "encoding" };
  let current: { phase: PrepareProgress["phase"]; bar: ReturnType<CliIo["progress"]> } | undefined;
  const stop = (): void => {
    current?.bar.stop();
    current = undefined;
  };
  const update = ({ phase, bytes, totalBytes, tokens }: PrepareProgress): void => {
    if (current?.phase !== phase) {
      stop();
      current = { phase, bar: io.progress(labels[phase]) };
    }
    if (phase === "merges") current.bar.update(tokens, vocab, `${tokens} of ${vocab} tokens`);
    else current.bar.update(bytes, totalBytes, phase === "encode" ? `${tokens} tokens` : undefined);
  };
  return { update, stop };
}

function summary(out: string, info: DatasetInfo, seconds: number): string {
  const { tokens, documents, passedOver } = info;
  const without = passedOver.null + passedOver.empty;
  const held = {
    documents: `${documents.val} documents`,
    "last-document": "the last document",
    tail: "the end of the only document",
  };
  return [
    `${out}: ${tokens.train} training tokens from ${documents.train} documents, vocabulary ${info.vocabSize}`,
    `held out for validation: ${tokens.val} tokens, ${held[info.heldOut]}`,
    ...(without === 0
      ? []
      : [`records passed over: ${passedOver.null} with a null text, ${passedOver.empty} with an empty one`]),
    `${seconds.toFixed(1)} s`,
  ].join("\n");
}

function appended(text: string, earlier: readonly string[] = []): string[] {
  return [...earlier, text];
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value))
    throw new InvalidArgumentError(`expected a number but received ${show(text)}`);
  return value;
}
