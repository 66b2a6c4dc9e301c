import type { ResolvedStage } from "../config/stages.js";
import type { BackendName } from "../native.js";
import type { Batch } from "../nn/shape.js";

/**
 * Target positions per pass if memory allows: enough to keep the device busy, and on a CPU few enough that a layer's
 * activations stay near its cache.
 */
export const positionsPerPass: Readonly<Record<BackendName, number>> = { cpu: 4096, simt: 1024, cuda: 32768 };

/** The micro-batch of a stage: its setting, or the most sequences that divide a rank's step within `target` positions. */
export function microBatch(stage: ResolvedStage, target: number, ranks = 1): Batch {
  const { sequenceLength: positions, patchSize } = stage;
  const sequencesPerStep = stage.sequencesPerStep / ranks;
  if (stage.microBatch !== "auto") return { sequences: stage.microBatch, positions, patchSize };
  let sequences = Math.min(sequencesPerStep, Math.max(1, Math.floor(target / positions)));
  while (sequencesPerStep % sequences !== 0) sequences--;
  return { sequences, positions, patchSize };
}
