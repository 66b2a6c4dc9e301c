/** The trials in bench/results/trials: the loss of every arm of a cell, from every seed. */
import { readFileSync } from "node:fs";

/** Where a cell's trials are. */
export const trialsFolder = new URL("../bench/results/trials/", import.meta.url);

/** A run of a cell, as `npm run bench -- trials` has written it. */
export interface Trial {
  readonly arm: string;
  readonly seed: number;
  /** On all held-out tokens, in nats per token. */
  readonly valLoss: number;
  /** Of text, in the whole run. */
  readonly tokens: number;
  readonly parameters: number;
}

/** The trials of a cell, in the order in which they were run. */
export function readTrials(cell: string): Trial[] {
  return readFileSync(new URL(`${cell}.jsonl`, trialsFolder), "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Trial);
}
