/** Whether a run's plan fits what is free on its device, before any of it is taken: the plan is taken as a whole or refused. */
import type { Device } from "../device.js";
import { OutOfMemoryError } from "../errors.js";
import { formatMebibytes } from "../report/format.js";
import { planBatches, plannedBytes } from "./memory_plan.js";
import type { PlannedRun } from "./run_plan.js";

/**
 * Why a run cannot be taken into memory, with the nearest micro-batch that could; null: it fits. Blocks that the device
 * holds in its cache are returned first: whoever asks is about to begin a run.
 * @param run what an error calls the run's plan: `memory plan`
 */
export function shortage(device: Device, planned: PlannedRun, run = "memory plan"): OutOfMemoryError | null {
  device.trim();
  const { freeBytes, limitedBy, workspaceBytes } = device.memory();
  // The workspace is taken when the device is opened.
  const bytes = plannedBytes(device, planned.plan) - workspaceBytes;
  if (bytes <= freeBytes) return null;
  const free = `${formatMebibytes(freeBytes)} that are free on ${device.backend} (${device.name})`;
  const limit = limitedBy === null ? "" : `, by ${limitedBy},`;
  const advice = advise(device, planned, freeBytes);
  return new OutOfMemoryError(
    `${run}: expected at most the ${free}${limit} but received ${formatMebibytes(bytes)}: ${advice}`,
    bytes,
    freeBytes,
  );
}

/** What would fit. */
function advise(device: Device, { stages, heldOut, plan }: PlannedRun, freeBytes: number): string {
  const { workspaceBytes } = device.memory();
  const { positions: _, ...shape } = plan.shape;
  const { share } = plan.sharding;
  const bytesWith = (sequences: number) => {
    const batches = stages.map(({ sequenceLength: positions, patchSize }) => ({ sequences, positions, patchSize }));
    const smaller = planBatches(device, { ...shape, share, masked: plan.masked }, stages, heldOut, batches);
    return plannedBytes(device, { ...smaller, guard: plan.guard }) - workspaceBytes;
  };
  const now = Math.max(...plan.batches.map(({ sequences }) => sequences));
  for (let sequences = now - 1; sequences >= 1; sequences--) {
    const divides = stages.every(({ sequencesPerStep }) => (sequencesPerStep / share.size) % sequences === 0);
    if (divides && bytesWith(sequences) <= freeBytes) {
      return `the nearest that fits is batch.microBatch: ${sequences}${stages.length > 1 ? " in every stage" : ""}`;
    }
  }
  return (
    `no batch.microBatch fits (1 takes ${formatMebibytes(bytesWith(1))}); a shorter batch.sequenceLength, recompute or a ` +
    "smaller model takes less"
  );
}
