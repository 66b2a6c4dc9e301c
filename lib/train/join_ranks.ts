/** The ranks of a run: those that a launcher started, or this process alone. */
import type { RunConfig } from "../config/config.js";
import type { Device } from "../device.js";
import type { RankShare } from "../nn/sharding.js";
import { launchedRank } from "../ranks/place.js";
import { Ranks } from "../ranks.js";
import { RunRanks } from "./run_ranks.js";

/** Whether this process is the one that writes the run's folder, and speaks for all. */
export function leadsRun(): boolean {
  return (launchedRank() ?? 0) === 0;
}

/** A rank's share of a run. More ranks need larger messages: the default of their size is Megatron's rule. */
export function shareOf(
  parallel: Omit<RunConfig["parallel"], "ranks" | "devices" | "timeout">,
  rank: number,
  size: number,
): RankShare {
  const { bucketParameters = Math.max(40e6, 1e6 * size), overlap, zero } = parallel;
  return { rank, size, bucketParameters, overlap, zero };
}

let joined: Ranks | null = null;

/** @throws DeviceError if a launcher started several processes that cannot find one another */
export async function joinRanks({ parallel }: Pick<RunConfig, "parallel">, device: Device): Promise<RunRanks> {
  if (launchedRank() === null) return new RunRanks(device);
  joined = await Ranks.join(device, { timeout: parallel.timeout });
  const { rank, size } = joined;
  return new RunRanks(device, shareOf(parallel, rank, size));
}

/**
 * Waits for all ranks, which then may end with any exit code: a launcher ends the others when one fails, and the first may
 * still be writing a checkpoint. All of them call it, or none.
 */
export async function leaveRanks(): Promise<void> {
  await joined?.leave();
}
