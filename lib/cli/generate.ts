/** `nextpatch generate`: continues texts. */
import type { Command } from "commander";
import type { Tokenizer } from "../data/tokenizer.js";
import { ConfigError } from "../errors.js";
import type { GenerateOptions } from "../generate/settings.js";
import { generateTexts } from "../generate/texts.js";
import { generate } from "../generate.js";
import type { Llama } from "../nn/llama.js";
import {
  collect,
  loadModel,
  loadTokenizer,
  numberBetween,
  type PlacementFlags,
  wholeNumber,
  withPlacement,
} from "./arguments.js";
import type { CliIo } from "./io.js";
import { readPrompts } from "./prompts_file.js";
import { checkModelFolder, fromFlags } from "./usage.js";

interface Flags extends PlacementFlags {
  readonly model: string;
  readonly prompt?: string;
  readonly prompts?: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly seed: number;
  readonly stop?: string[];
}

/** The flags that options come from. */
const flagOf = {
  prompt: "--prompt",
  maxTokens: "--max-tokens",
  temperature: "--temperature",
  topK: "--top-k",
  topP: "--top-p",
  minP: "--min-p",
  repetitionPenalty: "--repetition-penalty",
  seed: "--seed",
  stop: "--stop",
};

export function registerGenerate(program: Command, io: CliIo): void {
  const command = program
    .command("generate")
    .description("continue a text, or several at once")
    .requiredOption("--model <dir>", "model folder, with its tokenizer.json, or org/name in Hugging Face's cache")
    .option("--prompt <text>", "the text to continue")
    .option("--prompts <file>", 'several: a text file with one a line, or .jsonl with a string or {"prompt": S} a line')
    .option("--max-tokens <N>", "most tokens to add", wholeNumber(1), 128)
    .option(
      "--temperature <t>",
      "divides the logits before sampling; 0: always take the most likely token",
      numberBetween(0, 100),
      0.8,
    )
    .option("--top-k <k>", "sample from the k most likely tokens; 0: from all", wholeNumber(0), 0)
    .option(
      "--top-p <p>",
      "sample from the most likely tokens whose probabilities add up to p; 1: from all",
      numberBetween(0, 1),
      1,
    )
    .option(
      "--min-p <p>",
      "sample from the tokens at least p times as probable as the most likely one; 0: from all",
      numberBetween(0, 1),
      0,
    )
    .option(
      "--repetition-penalty <r>",
      "divides the positive logits of tokens that have occurred, and multiplies the others; 1: as they are",
      numberBetween(0.01, 100),
      1,
    )
    .option("--stop <text>", "text that ends it; it is not shown (repeatable)", collect)
    .option("--seed <seed>", "seed of the sampling; the same seed gives the same text", wholeNumber(0), 1);
  withPlacement(command).action(async (flags: Flags) => {
    const { prompt, prompts } = flags;
    if ((prompt === undefined) === (prompts === undefined)) {
      const received = prompt === undefined ? "neither" : "both";
      throw new ConfigError(`generate: expected one of --prompt and --prompts but received ${received}`);
    }
    checkModelFolder(flags.model, "tokenizer.json");
    const read = prompts === undefined ? [] : await readPrompts(prompts);
    using model = await loadModel(flags, io);
    const tokenizer = await loadTokenizer(model);
    if (prompt !== undefined) await continueOne(model, tokenizer, prompt, flags, io);
    else await continueAll(model, tokenizer, read, flags, io);
  });
}

/** The flags that `generate` takes. */
function settingsOf(flags: Flags): GenerateOptions {
  const { maxTokens, temperature, topK, topP, minP, repetitionPenalty, seed, stop } = flags;
  return { maxTokens, temperature, topK, topP, minP, repetitionPenalty, seed, ...(stop && { stop }) };
}

async function continueOne(model: Llama, tokenizer: Tokenizer, prompt: string, flags: Flags, io: CliIo): Promise<void> {
  const { stream } = io;
  stream?.(prompt);
  const onText = stream === null ? {} : { onText: stream };
  const call = () => generate(model, tokenizer, prompt, { ...settingsOf(flags), ...onText });
  const { text, ...rest } = await fromFlags("generate", flagOf, call);
  io.result(stream === null ? prompt + text : "", { prompt, text, ...rest });
}

async function continueAll(
  model: Llama,
  tokenizer: Tokenizer,
  read: Awaited<ReturnType<typeof readPrompts>>,
  flags: Flags,
  io: CliIo,
): Promise<void> {
  const prompts = read.map(({ prompt }) => prompt);
  const progress = io.progress("generate");
  const onProgress = (done: number, of: number) => progress.update(done, of, `text ${done}/${of}`);
  // A prompt that is too long is named by its line.
  const lines = Object.fromEntries(read.map(({ where }, index) => [`prompts[${index}]`, where]));
  const call = () => generateTexts(model, tokenizer, prompts, { ...settingsOf(flags), onProgress });
  const generations = await fromFlags("generateTexts", { ...flagOf, ...lines }, call).finally(() => progress.stop());
  const results = generations.map(({ text, ...rest }, index) => ({ prompt: prompts[index]!, text, ...rest }));
  io.result(results.map(({ prompt, text }) => prompt + text).join("\n\n"), { results });
}
