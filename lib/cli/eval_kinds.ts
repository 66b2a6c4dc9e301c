/** What `nextpatch eval` computes besides the loss: scores of tasks, perplexities of texts, active neurons. */
import { access, constants, open } from "node:fs/promises";
import { dirname } from "node:path";
import type { Command } from "commander";
import type { Tokenizer } from "../data/tokenizer.js";
import { naming } from "../disk/named_error.js";
import { ConfigError, unusable } from "../errors.js";
import type { TaskScores } from "../evaluate/accuracy.js";
import { activations } from "../evaluate/activations.js";
import { wholeDocuments } from "../evaluate/read_documents.js";
import { readItems, readTasks } from "../evaluate/read_items.js";
import { score } from "../evaluate/score.js";
import { scoreText } from "../evaluate/score_text.js";
import type { Llama } from "../nn/llama.js";
import { loadModel, loadTokenizer, numberBetween, type PlacementFlags, wholeNumber } from "./arguments.js";
import type { CliIo } from "./io.js";
import { checkModelFolder, flagName, fromFlags } from "./usage.js";

/** The flags of `eval`. */
export interface EvalFlags extends PlacementFlags {
  readonly model: string;
  readonly data?: string[];
  readonly patchSize?: number;
  readonly sequenceLength?: number;
  readonly verifyData?: boolean;
  readonly tasks?: string[];
  readonly shots?: number;
  readonly shotsFrom?: string;
  readonly out?: string;
  readonly text?: string[];
  readonly stride?: number;
  readonly activations?: boolean;
  readonly threshold?: number;
  readonly ranks?: number;
  readonly devices?: readonly number[];
}

/** Adds the flags that this file reads. */
export function withKinds(command: Command): Command {
  return command
    .option("--tasks <file.jsonl...>", "score tasks as lm-evaluation-harness does")
    .option("--shots <N>", "with --tasks: examples before each item", wholeNumber(0))
    .option("--shots-from <file.jsonl>", "with --shots: where they are, the first N of the same task")
    .option("--out <file>", "with --tasks: write the log-likelihoods of each item, as JSONL")
    .option("--text <file...>", "compute the perplexity per word and per byte of documents, in rolling windows")
    .option("--stride <N>", "with --text: tokens that a window predicts (default: the context)", wholeNumber(1))
    .option("--activations", "with --data: count the active neurons of each layer, over at most 64 blocks")
    .option(
      "--threshold <value>",
      "with --activations: how far from 0 an active neuron is (default: 0.5)",
      numberBetween(0, 1e9),
    );
}

/** What each flag belongs to. */
const needs = [
  ["shots", "tasks"],
  ["shotsFrom", "shots"],
  ["shots", "shotsFrom"],
  ["out", "tasks"],
  ["stride", "text"],
  ["patchSize", "data"],
  ["sequenceLength", "data"],
  ["activations", "data"],
  ["verifyData", "data"],
  ["threshold", "activations"],
  ["ranks", "data"],
  ["devices", "data"],
] as const;

/** @throws ConfigError if the flags do not say one thing to compute */
export function checkKind(flags: EvalFlags): void {
  const kinds = (["data", "tasks", "text"] as const).filter((key) => flags[key] !== undefined);
  if (kinds.length !== 1) {
    const received = kinds.length === 0 ? "none" : kinds.map(flagName).join(" and ");
    throw new ConfigError(`eval: expected one of --data, --tasks and --text but received ${received}`);
  }
  for (const [flag, other] of needs) {
    if (flags[flag] === undefined || flags[other] !== undefined) continue;
    throw new ConfigError(`${flagName(flag)}: expected ${flagName(other)} with it but received none`);
  }
  const several = (["ranks", "devices"] as const).find((key) => flags[key] !== undefined);
  if (several !== undefined && flags.activations) {
    throw new ConfigError(`--${several}: expected no --activations with it, which one process counts, but received it`);
  }
  if (flags.ranks !== undefined && flags.devices !== undefined) {
    throw new ConfigError("eval: expected --ranks or --devices but received both");
  }
}

/** Computes what the flags ask for, and says whether they asked for any of it. */
export async function runKind(flags: EvalFlags, io: CliIo): Promise<boolean> {
  if (flags.tasks !== undefined) await runTasks(flags, flags.tasks, io);
  else if (flags.text !== undefined) await runText(flags, flags.text, io);
  else if (flags.activations) await runActivations(flags, flags.data!, io);
  else return false;
  return true;
}

async function runTasks(flags: EvalFlags, files: readonly string[], io: CliIo): Promise<void> {
  const { shots: count, shotsFrom, out } = flags;
  checkModelFolder(flags.model, "tokenizer.json");
  if (out !== undefined) await checkOut(out);
  const { items, nameOf } = await readTasks(files);
  const shots =
    count === undefined || shotsFrom === undefined
      ? undefined
      : { count, items: (await readItems(shotsFrom, false)).items, name: shotsFrom };
  const result = await withModel(flags, io, "score", (model, tokenizer, onProgress) =>
    score(model, tokenizer, items, { ...(shots && { shots }), nameOf, onProgress }),
  );
  if (out !== undefined) {
    await writeLines(
      out,
      result.items.map((item) => JSON.stringify(item)),
    );
  }
  const rows = Object.entries(result.tasks).map(([name, scores]) => `${name}: ${inWords(scores)}`);
  io.result(rows.join("\n"), { tasks: result.tasks });
}

/** Hours of scoring are not lost to a wrong name. @throws ConfigError */
async function checkOut(out: string): Promise<void> {
  const folder = dirname(out);
  await access(folder, constants.W_OK).catch((cause: unknown) => {
    const message = `--out: expected a file in a folder that can be written to but received ${out}: ${folder} is`;
    throw new ConfigError(`${message} ${unusable(cause, "folder")}`, { cause });
  });
}

/** Writes a file that is on the disk then, or a pipe. @throws Error of the file system that names it */
async function writeLines(out: string, lines: readonly string[]): Promise<void> {
  await naming(out, async () => {
    const file = await open(out, "w");
    try {
      await file.writeFile(lines.map((line) => `${line}\n`).join(""));
      if ((await file.stat()).isFile()) await file.sync();
    } finally {
      await file.close();
    }
  });
}

async function runText(flags: EvalFlags, files: readonly string[], io: CliIo): Promise<void> {
  checkModelFolder(flags.model, "tokenizer.json");
  const { stride } = flags;
  const documents = await wholeDocuments(files, io.log);
  const result = await withModel(flags, io, "scoreText", (model, tokenizer, onProgress) =>
    scoreText(model, tokenizer, documents, { ...(stride !== undefined && { stride }), onProgress }),
  );
  const { wordPerplexity, bytePerplexity, bitsPerByte, tokens, bytes, words } = result;
  io.result(
    `perplexity ${wordPerplexity.toFixed(4)} per word, ${bytePerplexity.toFixed(4)} per byte ` +
      `(${bitsPerByte.toFixed(4)} bits), over ${tokens} tokens, ${words} words, ${bytes} bytes`,
    result,
  );
}

async function runActivations(flags: EvalFlags, data: readonly string[], io: CliIo): Promise<void> {
  using model = await loadModel(flags, io);
  const progress = io.progress("eval");
  const { patchSize = 1, sequenceLength, threshold, verifyData = false } = flags;
  const given = {
    ...(sequenceLength !== undefined && { sequenceLength }),
    ...(threshold !== undefined && { threshold }),
  };
  const onProgress = (done: number, of: number) => progress.update(done, of, `block ${done}/${of}`);
  const counted = fromFlags("activations", flagsOf, () =>
    activations(model, { data, patchSize, ...given, verifyData, log: io.log, onProgress }),
  );
  const result = await counted.finally(() => progress.stop());
  const rows = result.layers.map(({ active }, layer) => `layer ${layer}: ${(100 * active).toFixed(3)}%`);
  const title = `neurons further from 0 than ${result.threshold}, at patch size ${patchSize}`;
  io.result([title, ...rows].join("\n"), result);
}

/** The flags that arguments of the library come from. */
const flagsOf = {
  data: "--data",
  patchSize: "--patch-size",
  sequenceLength: "--sequence-length",
  threshold: "--threshold",
  stride: "--stride",
};

type OnProgress = (done: number, of: number) => void;

async function withModel<T>(
  flags: EvalFlags,
  io: CliIo,
  operation: "score" | "scoreText",
  run: (model: Llama, tokenizer: Tokenizer, onProgress: OnProgress) => Promise<T>,
): Promise<T> {
  checkModelFolder(flags.model, "tokenizer.json");
  using model = await loadModel(flags, io);
  const tokenizer = await loadTokenizer(model);
  const progress = io.progress("eval");
  const onProgress: OnProgress = (done, of) => progress.update(done, of, `token ${done}/${of}`);
  const scored = fromFlags(operation, flagsOf, () => run(model, tokenizer, onProgress));
  // Awaited here: the model is gone after it.
  return await scored.finally(() => progress.stop());
}

function inWords(scores: TaskScores): string {
  const value = (share: number, error: number | null = null) =>
    share.toFixed(4) + (error === null ? "" : ` ± ${error.toFixed(4)}`);
  const acc = `acc ${value(scores.acc, scores.acc_stderr)}`;
  const items = `${scores.items} items`;
  if ("perplexity" in scores) return `${acc}, perplexity ${scores.perplexity.toFixed(4)}, ${items}`;
  const norm = `acc_norm ${value(scores.acc_norm, scores.acc_norm_stderr)}`;
  return `${acc}, ${norm}, acc_bytes ${value(scores.acc_bytes)}, ${items}`;
}
