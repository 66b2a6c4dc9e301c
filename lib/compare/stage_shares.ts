/** The shares of a config's stages, and the name that they give to a way of training. */
import type { RunConfig } from "../config/config.js";

type Stages = RunConfig["stages"];

/** K of the first stage, and its share. */
export function firstStage(stages: Stages): { patchSize: number; fraction: number } {
  return { patchSize: stages[0]!.patchSize, fraction: sharesOf(stages)[0]! };
}

/** The share of each stage: of what is trained, if the fractions sum to less than the whole run. */
function sharesOf(stages: Stages): number[] {
  const whole = coveredShare(stages);
  return stages.map(({ fraction }) => (fraction === undefined ? 1 - given(stages) : fraction / whole));
}

/** The part of a run's length that its stages take up: all of it, or less where all have fractions that sum to less. */
export function coveredShare(stages: Stages): number {
  return stages.some(({ fraction }) => fraction === undefined) ? 1 : given(stages);
}

function given(stages: Stages): number {
  return stages.reduce((sum, { fraction }) => sum + (fraction ?? 0), 0);
}

/** `K = 4, fraction 0.6667`, or `K = 8, 4, fractions 0.1, 0.2 of steps`: all stages but the last. */
export function stagesLabel(stages: Stages): string {
  const before = stages.slice(0, -1);
  const list = (values: readonly number[]) => values.map((value) => Number(value.toPrecision(6))).join(", ");
  const { of = "tokens" } = stages.find((stage) => stage.of !== undefined) ?? {};
  const unit = { tokens: "", steps: " of steps", flops: " of FLOPs" }[of];
  const fractions = `fraction${before.length > 1 ? "s" : ""} ${list(sharesOf(stages).slice(0, -1))}`;
  return `K = ${list(before.map(({ patchSize }) => patchSize))}, ${fractions}${unit}`;
}
