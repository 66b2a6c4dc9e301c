/** `nextpatch generate`: continues a text. */
import { join } from "node:path";
import type { Command } from "commander";
import { Tokenizer } from "../data/tokenizer.js";
import { generate } from "../generate.js";
import { collect, loadModel, numberBetween, type PlacementFlags, wholeNumber, withPlacement } from "./arguments.js";
import type { CliIo } from "./io.js";
import { checkModelFolder, fromFlags } from "./usage.js";

interface Flags extends PlacementFlags {
  readonly model: string;
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
  readonly stop?: string[];
}

/** The flags that `generate` gets its options from. */
const flagOf = {
  prompt: "--prompt",
  maxTokens: "--max-tokens",
  temperature: "--temperature",
  topK: "--top-k",
  topP: "--top-p",
  seed: "--seed",
  stop: "--stop",
};

export function registerGenerate(program: Command, io: CliIo): void {
  const command = program
    .command("generate")
    .description("continue a text")
    .requiredOption("--model <dir>", "model folder, with its tokenizer.json, or org/name in Hugging Face's cache")
    .requiredOption("--prompt <text>", "the text to continue")
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
    .option("--stop <text>", "text that ends it; it is not shown (repeatable)", collect)
    .option("--seed <seed>", "seed of the sampling; the same seed gives the same text", wholeNumber(0), 1);
  withPlacement(command).action(async (flags: Flags) => {
    const folder = checkModelFolder(flags.model, "tokenizer.json");
    using model = await loadModel(flags, io);
    const tokenizer = await Tokenizer.fromFile(join(folder, "tokenizer.json"));
    const stream = !io.json && process.stdout.isTTY;
    if (stream) process.stdout.write(flags.prompt);
    const onText = stream ? { onText: (text: string) => void process.stdout.write(text) } : {};
    const options = { ...flags, ...onText };
    const call = () => generate(model, tokenizer, flags.prompt, options);
    const { text, ...rest } = await fromFlags("generate", flagOf, call);
    io.result(stream ? "" : flags.prompt + text, { prompt: flags.prompt, text, ...rest });
  });
}
