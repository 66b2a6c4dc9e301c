import { formatCount, formatMebibytes } from "../report/format.js";
import type { PlanItem } from "../train/memory_plan.js";
import type { StageCost } from "../train/stage_costs.js";

/** A line for every stage of a run. */
export function stagesText(stages: readonly StageCost[]): string {
  return stages.map((stage) => `  ${stageText(stage)}`).join("\n");
}

/** `K = 4 for 300 steps: 9.83 M tokens, 1.20 T FLOPs`. */
export function stageText({ patchSize, steps, tokens, flops }: StageCost): string {
  return `K = ${patchSize} for ${steps} steps: ${formatCount(tokens)} tokens, ${formatCount(flops)} FLOPs`;
}

/**
 * The memory plan as text.
 * @param copyBytes host memory of the copy that checkpoints are written from; 0: there is none
 */
export function planText(items: readonly PlanItem[], copyBytes: number, freeBytes: number): string {
  const total = items.reduce((sum, { bytes }) => sum + bytes, 0);
  const rows = [
    ...items,
    { name: "planned in all", bytes: total },
    ...(copyBytes > 0 ? [{ name: "beside it, on the host: a checkpoint's copy", bytes: copyBytes }] : []),
    { name: "free on the device", bytes: freeBytes },
  ];
  return rows.map(({ name, bytes }) => `  ${name.padEnd(44)}${formatMebibytes(bytes).padStart(12)}`).join("\n");
}
