/** The memory of long runs. */
import { deepStrictEqual, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import type { Fault } from "../fault.js";
import type { Place, Started } from "../place.js";

const STEPS = process.env.NEXTPATCH_FAULTS === "all" ? 100_000 : 4000;

const MiB = 2 ** 20;

/** What the process may have grown by from the second quarter of its steps to the last. */
const MOST = 24 * MiB;

interface Sample {
  /** Bytes of the metrics by then, which stand for the steps. */
  readonly written: number;
  /** Bytes of the process in memory. */
  readonly resident: number;
}

/** 0 of a process that has ended. */
function residentBytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

async function samples(place: Place, { child, ended }: Started): Promise<Sample[]> {
  const found: Sample[] = [];
  let running = true;
  void ended.then(() => (running = false));
  for (; running; await setTimeout(50)) {
    const resident = residentBytes(child.pid!);
    if (resident > 0) found.push({ written: place.size("long/metrics.jsonl"), resident });
  }
  return found;
}

/** The least that the process had in a quarter: what is above it is garbage that Node has not collected yet. */
function least(found: readonly Sample[], quarter: number): number {
  const whole = found.at(-1)!.written;
  const inIt = found.filter(({ written }) => Math.floor((4 * written) / whole) === quarter);
  return Math.min(...inIt.map(({ resident }) => resident));
}

export const memory: readonly Fault[] = [
  {
    name: "memory-flat",
    fault: "a run of very many steps",
    tried: "4000 steps of a small model with evaluations and checkpoints, with `NEXTPATCH_FAULTS=all` 100,000",
    happens: "the least resident memory in the last quarter of the steps is that of the second quarter, but for 24 MiB",
    run: async (place) => {
      const keys = [`train.steps=${STEPS}`, "checkpoint.everySteps=500"].flatMap((key) => ["--set", key]);
      const started = place.train("long", ...keys);
      const found = await samples(place, started);
      const { code, stderr } = await started.ended;
      deepStrictEqual(code, 0, stderr);
      const [early, late] = [least(found, 1), least(found, 3)];
      const said = `${(early / MiB).toFixed(1)} MiB, then ${(late / MiB).toFixed(1)} MiB`;
      ok(late - early < MOST, said);
      return `${STEPS} steps: ${said}`;
    },
  },
];
