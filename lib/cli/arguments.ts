/** Parsing of flags. */
import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { Tokenizer } from "../data/tokenizer.js";
import { TOKENIZER_JSON } from "../data/tokenizer_files.js";
import type { DeviceSpec, PrecisionSpec } from "../device.js";
import { deviceNames, deviceNamesInWords, precisionNames } from "../device_names.js";
import { CheckpointError } from "../errors.js";
import { listNames } from "../hf/unasked_tensors.js";
import { Llama } from "../nn/llama.js";
import { openRankDevice } from "../ranks/rank_device.js";
import type { CliIo } from "./io.js";
import { checkModelFolder } from "./usage.js";

export interface PlacementFlags {
  readonly device: DeviceSpec;
  readonly precision: PrecisionSpec;
  /** Of `eval`: the GPUs of its ranks. */
  readonly devices?: readonly number[];
}

/** `--device` and `--precision`, for every command that computes. */
export function withPlacement(command: Command): Command {
  return command
    .option("--device <device>", `where to compute: ${deviceNamesInWords}`, device, "auto")
    .addOption(
      new Option("--precision <precision>", "precision of activations and matrix products")
        .choices([...precisionNames])
        .default("auto"),
    );
}

/** The model that `--model` names, on the device that the flags name. */
export async function loadModel(flags: PlacementFlags & { readonly model: string }, io: CliIo): Promise<Llama> {
  const model = await Llama.load(checkModelFolder(flags.model), openPlacement(flags, io));
  if (model.unasked.length > 0) {
    io.log(`${model.folder}: passing over tensors that are none of the model's: ${listNames(model.unasked)}`);
  }
  return model;
}

/** The tokenizer of a loaded model. @throws CheckpointError naming it if it has tokens that the model does not have */
export async function loadTokenizer({ folder, config }: Llama): Promise<Tokenizer> {
  const path = join(folder!, TOKENIZER_JSON);
  const tokenizer = await Tokenizer.fromFile(path);
  if (tokenizer.vocabSize <= config.vocab_size) return tokenizer;
  throw new CheckpointError(
    `${path}: expected at most the model's ${config.vocab_size} tokens (vocab_size) but received ${tokenizer.vocabSize}`,
  );
}

/** Flags that change a config's keys. */
export interface OverrideFlags {
  readonly set?: string[];
  readonly device?: string;
  readonly precision?: string;
}

/** `--set`, and the short forms `--device` and `--precision`, for every command that takes a config. */
export function withOverrides(command: Command): Command {
  return command
    .option(
      "--set <key=value>",
      "override a key of the config, for example --set batch.microBatch=4 (repeatable)",
      collect,
    )
    .option("--device <device>", "the same as --set device=...")
    .option("--precision <precision>", "the same as --set precision=...");
}

/** The overrides that the flags give, the short forms last. */
export function overridesOf(flags: OverrideFlags): string[] {
  const short = (["device", "precision"] as const).filter((key) => flags[key] !== undefined);
  return [...(flags.set ?? []), ...short.map((key) => `${key}=${flags[key]}`)];
}

/** Opens the device that the flags name, and says what `auto` chose. */
function openPlacement({ device: spec, precision, devices }: PlacementFlags, io: CliIo) {
  const device = openRankDevice(spec, devices);
  const chosen = device.computeDType(precision) === "bf16" ? "bf16" : "fp32";
  if (spec === "auto" || precision === "auto") io.log(`computing on ${device.backend} (${device.name}) in ${chosen}`);
  return { device, precision };
}

function device(text: string): string {
  if (deviceNames.test(text)) return text;
  throw new InvalidArgumentError(`expected ${deviceNamesInWords}`);
}

/** A parser of whole numbers from `low` on, up to `high` if there is such a bound. */
export function wholeNumber(low: number, high?: number): (text: string) => number {
  const expected = high === undefined ? `of at least ${low}` : `from ${low} to ${high}`;
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= low && value <= (high ?? Number.MAX_SAFE_INTEGER)) return value;
    throw new InvalidArgumentError(`expected a whole number ${expected}`);
  };
}

/** Reads numbers of devices, separated by commas. */
export function deviceNumbers(text: string): number[] {
  const numbers = text.split(",").map((item) => (/^\d{1,4}$/.test(item.trim()) ? Number(item) : Number.NaN));
  if (!numbers.includes(Number.NaN) && new Set(numbers).size === numbers.length) return numbers;
  throw new InvalidArgumentError("expected different numbers of GPUs, separated by commas");
}

/** A parser of numbers within bounds. */
export function numberBetween(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`expected a number from ${low} to ${high}`);
  };
}

/** Collects a flag that may be repeated; `before` is undefined for the first. */
export function collect(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), text];
}
