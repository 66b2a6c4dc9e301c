/** The result of `bench/gpu.sh quick`: what it is, and where it is kept. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { resultName, type Step } from "../result.js";
import type { ClockSummary } from "./clocks.js";
import { page } from "./page.js";
import type { QuickPlan } from "./plan.js";

/** A step, and what it has found. */
export interface QuickStep extends Step {
  /** Seconds that it may take, besides those that earlier steps have left. */
  readonly limit: number;
  /** When it began; ISO 8601. */
  readonly date: string;
  /** Of the source that it ran. */
  readonly revision: string;
  /** The step's own JSON; absent if it has none. Of a failed step it may be a part. */
  readonly result?: unknown;
  /** Of the GPU while it ran. */
  readonly clocks?: ClockSummary;
  /** The end of its output, if it failed. */
  readonly output?: string;
}

export interface QuickResult {
  /** The name of the first device. */
  readonly device: string;
  readonly backend: string;
  /** Of the last run. */
  readonly date: string;
  readonly revision: string;
  readonly steps: readonly QuickStep[];
}

/** A device's result and its page: `quick-nvidia-h200.json` and `.md`. */
export function resultFiles(folder: string, device: string): { json: string; text: string } {
  const name = `quick-${resultName(device)}`;
  return { json: join(folder, name), text: join(folder, name.replace(/json$/, "md")) };
}

/** The steps that a device's result has so far. */
export function earlierSteps(folder: string, device: string): readonly QuickStep[] {
  const { json } = resultFiles(folder, device);
  return existsSync(json) ? (JSON.parse(readFileSync(json, "utf8")) as QuickResult).steps : [];
}

/** Every step of the plans, in their order: as of this run, else as of an earlier one, else as not measured. */
export function allSteps(
  plans: readonly QuickPlan[],
  now: readonly QuickStep[],
  earlier: readonly QuickStep[],
  { date, revision }: { date: string; revision: string },
): QuickStep[] {
  return plans.map(({ part, name, seconds }) => {
    const found = [...now, ...earlier].find((step) => step.name === name);
    if (found !== undefined) return found;
    return { phase: part, name, outcome: "skipped", seconds: 0, limit: seconds, date, revision, reason: "not run yet" };
  });
}

/**
 * Writes both files, each at once: whoever reads them while steps still run sees a whole one. Where the checkout is on
 * that machine, which messages of tests say, is left out.
 */
export function writeResult(folder: string, result: QuickResult): void {
  const { json, text } = resultFiles(folder, result.device);
  const write = (file: string, content: string) => {
    writeFileSync(`${file}.partial`, content.replaceAll(`${process.cwd()}/`, ""));
    renameSync(`${file}.partial`, file);
  };
  write(json, `${JSON.stringify(result, null, 1)}\n`);
  write(text, page(result));
}
