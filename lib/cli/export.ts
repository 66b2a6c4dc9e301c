/** `nextpatch export`: a model in another form, for other programs. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { either } from "../arguments.js";
import { ConfigError } from "../errors.js";
import { exportGguf, type GgufDtype, ggufDtypes } from "../gguf/export.js";
import { exportHf, type HfDtype, hfDtypes } from "../hf/export.js";
import { listNames } from "../hf/unasked_tensors.js";
import type { CliIo } from "./io.js";
import { onSignals } from "./signals.js";
import { checkModelFolder } from "./usage.js";

interface Flags {
  readonly model: string;
  readonly format: "gguf" | "hf";
  readonly out: string;
  readonly dtype?: GgufDtype;
  readonly maxShardSize?: number;
}

export function registerExport(program: Command, io: CliIo): void {
  program
    .command("export")
    .description("write a model as one file for llama.cpp, or as a Hugging Face folder in another element type")
    .requiredOption("--model <dir>", "model folder, with its tokenizer.json, or org/name in Hugging Face's cache")
    .addOption(
      new Option("--format <format>", "gguf: a file for llama.cpp; hf: a Hugging Face folder")
        .choices(["gguf", "hf"])
        .makeOptionMandatory(),
    )
    .addOption(
      new Option("--dtype <type>", "element type of the weights (default: the checkpoint's own)").choices([
        ...ggufDtypes,
      ]),
    )
    .option("--max-shard-size <size>", "with hf: the most bytes of a file of weights (default: 5GB)", shardSize)
    .requiredOption("--out <path>", "file or folder to write; replaces an earlier export of that name")
    .action(async (flags: Flags) => {
      checkFlags(flags);
      const interrupt = new AbortController();
      const stop = onSignals({ end: () => interrupt.abort(new Error("interrupted: nothing was written")) });
      const progress = io.progress("export");
      const onProgress = (bytes: number, total: number) => progress.update(bytes, total, size(bytes));
      const run = flags.format === "gguf" ? runGguf : runHf;
      const [text, result] = await run(flags, { onProgress, signal: interrupt.signal }, io).finally(() => {
        progress.stop();
        stop();
      });
      io.result(text, result);
    });
}

/** @throws ConfigError */
function checkFlags({ model, format, dtype, maxShardSize }: Flags): void {
  checkModelFolder(model, format === "gguf" ? "tokenizer.json" : undefined);
  if (format === "hf" && dtype === "q8_0") {
    throw new ConfigError(`--dtype: expected ${either(hfDtypes)} with --format hf but received q8_0`);
  }
  if (format === "gguf" && maxShardSize !== undefined) {
    throw new ConfigError("--max-shard-size: expected --format hf with it but received gguf, which is one file");
  }
}

interface Callbacks {
  readonly onProgress: (bytes: number, total: number) => void;
  readonly signal: AbortSignal;
}

async function runGguf({ model, out, dtype: wanted }: Flags, callbacks: Callbacks): Promise<[string, object]> {
  const result = await exportGguf(model, out, { ...(wanted && { dtype: wanted }), ...callbacks });
  const { file, bytes, tensors, parameters, dtype } = result;
  return [`${file}: ${size(bytes)}, ${tensors} tensors, ${millions(parameters)} parameters in ${dtype}`, result];
}

async function runHf(flags: Flags, callbacks: Callbacks, io: CliIo): Promise<[string, object]> {
  const { model, out, dtype, maxShardSize } = flags;
  const { unasked, ...result } = await exportHf(model, out, {
    ...(dtype && { dtype: dtype as HfDtype }),
    ...(maxShardSize !== undefined && { maxShardBytes: maxShardSize }),
    ...callbacks,
  });
  if (unasked.length > 0) io.log(`${model}: leaving out tensors that are none of the model's: ${listNames(unasked)}`);
  const { folder, bytes, tensors, parameters } = result;
  return [`${folder}: ${size(bytes)}, ${tensors} tensors, ${millions(parameters)} parameters`, result];
}

const units: Readonly<Record<string, number>> = { KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/** A size as huggingface_hub takes it: 2GB, 500MB. */
function shardSize(text: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)(KB|MB|GB|TB)$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(number) * units[unit.toUpperCase()]!);
  if (bytes >= 1) return bytes;
  throw new InvalidArgumentError("expected a size such as 2GB or 500MB");
}

function size(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function millions(parameters: number): string {
  return `${(parameters / 1e6).toFixed(2)} M`;
}
