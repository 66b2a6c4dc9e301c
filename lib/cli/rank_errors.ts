/** Errors of one of several ranks. */
import { hostname } from "node:os";
import { setTimeout } from "node:timers/promises";
import { launchedRank } from "../ranks/place.js";

/** Milliseconds in which a launcher ends all ranks of which one has failed. */
const PATIENCE = 3000;

/**
 * An error as a rank reports it. What is wrong for all, all find out: the first one says it, and its launcher ends the
 * others while they wait here. What another rank alone has found is told with its name.
 */
export async function ofRank(error: unknown): Promise<unknown> {
  const rank = launchedRank();
  if (rank === null || rank === 0 || !(error instanceof Error)) return error;
  await setTimeout(PATIENCE);
  error.message = `rank ${rank} on ${hostname()}: ${error.message}`;
  return error;
}
