/** `nextpatch export`: a trained model for other programs. */
import { type Command, Option } from "commander";
import { exportGguf, type GgufDtype, ggufDtypes } from "../gguf/export.js";
import type { CliIo } from "./io.js";
import { checkModelFolder } from "./usage.js";

interface Flags {
  readonly model: string;
  readonly out: string;
  readonly dtype?: GgufDtype;
}

export function registerExport(program: Command, io: CliIo): void {
  program
    .command("export")
    .description("write a model as one file for llama.cpp and the programs built on it")
    .requiredOption("--model <dir>", "model folder, with its tokenizer.json, or org/name in Hugging Face's cache")
    .addOption(new Option("--format <format>", "format of the file").choices(["gguf"]).makeOptionMandatory())
    .addOption(
      new Option("--dtype <type>", "element type of the matrices (default: the checkpoint's own)").choices([
        ...ggufDtypes,
      ]),
    )
    .requiredOption("--out <file>", "file to write; replaces an earlier export of that name")
    .action(async ({ model, out, dtype: wanted }: Flags) => {
      checkModelFolder(model, "tokenizer.json");
      const interrupt = new AbortController();
      const onInterrupt = (): void => interrupt.abort(new Error("interrupted"));
      process.once("SIGINT", onInterrupt);
      const progress = io.progress("export");
      const onProgress = (bytes: number, total: number) => progress.update(bytes, total, size(bytes));
      const result = await exportGguf(model, out, {
        ...(wanted && { dtype: wanted }),
        onProgress,
        signal: interrupt.signal,
      }).finally(() => {
        progress.stop();
        process.removeListener("SIGINT", onInterrupt);
      });
      const { file, bytes, tensors, parameters, dtype } = result;
      io.result(
        `${file}: ${size(bytes)}, ${tensors} tensors, ${(parameters / 1e6).toFixed(2)} M parameters in ${dtype}`,
        result,
      );
    });
}

function size(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
