import type { ResolvedStage } from "../config/stages.js";
import type { BackendName } from "../native.js";
import type { Batch } from "../nn/shape.js";

/**
 * Positions that one pass aims at: enough to keep the device busy, few enough that a layer's activations stay near a
 * processor's cache, or leave a GPU room for the model.
 */
const targetPositions: Record<BackendName, number> = { cpu: 4096, simt: 1024, cuda: 32768 };

/** The micro-batch of a stage: its own setting, or the most sequences that divide the step within the target. */
export function microBatch(stage: ResolvedStage, backend: BackendName): Batch {
  const { sequencesPerStep, sequenceLength: positions, patchSize } = stage;
  if (stage.microBatch !== "auto") return { sequences: stage.microBatch, positions, patchSize };
  let sequences = Math.min(sequencesPerStep, Math.max(1, Math.floor(targetPositions[backend] / positions)));
  while (sequencesPerStep % sequences !== 0) sequences--;
  return { sequences, positions, patchSize };
}

/** How token-level evaluation of `sequences` is cut: as many whole passes as fit the positions, and one for the rest. */
export function evaluationBatches(sequences: number, positions: number, positionsPerPass: number): Batch[] {
  const perPass = Math.max(1, Math.min(sequences, Math.floor(positionsPerPass / positions)));
  const batches = Array.from({ length: Math.floor(sequences / perPass) }, () => perPass);
  if (sequences % perPass > 0) batches.push(sequences % perPass);
  return batches.map((count) => ({ sequences: count, positions, patchSize: 1 }));
}
