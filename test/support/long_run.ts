/** Runs by several ranks that the built command starts, and that take hours unless they are ended. */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { expect } from "@jest/globals";
import type { Command } from "./built.js";

/** Changes of a config, as flags. */
export const set = (...changes: string[]) => changes.flatMap((change) => ["--set", change]);

/** What makes a run take hours. */
export const long = set("train.steps=1000000", "eval.everySteps=1000000", "checkpoint.everySteps=1000000");

/** Process numbers of the ranks whose run is in a folder, by rank. */
export function ranksOf(out: string): number[] {
  const found: number[] = [];
  for (const process of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const args = readFileSync(`/proc/${process}/cmdline`, "utf8").split("\0");
      const environment = readFileSync(`/proc/${process}/environ`, "utf8");
      const rank = /(?:^|\0)(?:OMPI_COMM_WORLD_)?RANK=(\d+)/.exec(environment)?.[1];
      if (/node/.test(args[0]!) && args.includes(`out=${out}`) && rank !== undefined) {
        found[Number(rank)] = Number(process);
      }
    } catch {
      // it has ended meanwhile
    }
  }
  return found;
}

/** Starts a run in `out`, by flags that make it one of `ranks` ranks, and waits for its first steps. */
export async function startLong(nextpatch: Command, out: string, ranks: number, ...flags: string[]) {
  const started = nextpatch.start("train", "config.json", ...flags, ...set(`out=${out}`), ...long);
  const begun = () => {
    try {
      return readFileSync(nextpatch.path(`${out}/metrics.jsonl`)).length > 0;
    } catch {
      return false;
    }
  };
  while (!begun()) {
    if (started.process.exitCode !== null) throw new Error((await started.finished).stderr);
    await setTimeout(20);
  }
  expect(ranksOf(out)).toHaveLength(ranks);
  return started;
}
