/** The result of `bench/gpu.sh quick`: what it is, and where it is kept. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { resultName, type Step } from "../result.js";
import type { ClockSummary } from "./clocks.js";
import { page } from "./page.js";

/** A step, and what it has found. */
export interface QuickStep extends Step {
  /** Seconds that it may take, besides those that earlier steps have left. */
  readonly limit: number;
  /** The step's own JSON; absent if it has none. */
  readonly result?: unknown;
  /** Of the GPU while it ran. */
  readonly clocks?: ClockSummary;
  /** The end of its output, if it failed. */
  readonly output?: string;
}

export interface QuickResult {
  /** The name of the first device. */
  readonly device: string;
  readonly date: string;
  /** Of the source. */
  readonly revision: string;
  readonly steps: readonly QuickStep[];
}

/** A device's result and its page: `quick-nvidia-h200.json` and `.md`. */
export function resultFiles(folder: string, device: string): { json: string; text: string } {
  const name = `quick-${resultName(device)}`;
  return { json: join(folder, name), text: join(folder, name.replace(/json$/, "md")) };
}

/** The steps that a device's result has so far; those of `again` are left out. */
export function earlierSteps(folder: string, device: string, again: ReadonlySet<string>): QuickStep[] {
  const { json } = resultFiles(folder, device);
  if (!existsSync(json)) return [];
  const { steps } = JSON.parse(readFileSync(json, "utf8")) as QuickResult;
  return steps.filter(({ phase }) => !again.has(phase));
}

/** Writes both files, each at once: whoever reads them while steps still run sees a whole one. */
export function writeResult(folder: string, result: QuickResult): void {
  const { json, text } = resultFiles(folder, result.device);
  const write = (file: string, content: string) => {
    writeFileSync(`${file}.partial`, content);
    renameSync(`${file}.partial`, file);
  };
  write(json, `${JSON.stringify(result, null, 1)}\n`);
  write(text, page(result));
}
