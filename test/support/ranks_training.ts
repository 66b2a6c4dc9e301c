/** Runs of several ranks, for tests: the made run, on a folder of its own. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { PlanItem } from "../../lib/train/memory_plan.js";
import { runRanks } from "./ranks.js";

export interface TrainedLine {
  readonly step: number;
  readonly loss: number;
  readonly gradNorm: number;
  readonly valLoss?: number;
}

/** What a rank reports of its run. */
export interface TrainedRank {
  readonly lines: readonly TrainedLine[];
  /** Bytes of each step. */
  readonly sent: readonly number[];
  readonly planned: readonly PlanItem[];
  /** Of the flat tensors. */
  readonly parameters: number;
  readonly buckets: number;
  /** What the first step enqueued: products, what ranks exchange (`… beside`: beside computing) and waits for it. */
  readonly calls: readonly string[];
}

/** Trains the made run in `folder` with changes, by so many ranks; 0: by a process alone. */
export async function trainRanks(
  ranks: number,
  folder: string,
  changes: object,
  options: object = {},
  env: NodeJS.ProcessEnv = {},
): Promise<readonly TrainedRank[]> {
  const args = [folder, JSON.stringify(changes), JSON.stringify(options)];
  const { code, errors, reports } = await runRanks(ranks, "train.ts", args, env);
  if (code !== 0) throw new Error(`${ranks} ranks ended with ${code}: ${errors}`);
  return reports as TrainedRank[];
}

/** SHA-256 of a file. */
export const hashOf = (...path: readonly string[]): string =>
  createHash("sha256")
    .update(readFileSync(join(...path)))
    .digest("hex");
