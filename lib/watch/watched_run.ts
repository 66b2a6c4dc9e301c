/** A run that is watched: its metrics, thinned, and how it stands. */
import { join } from "node:path";
import type { MetricsLine } from "../report/metrics.js";
import type { FoundRun } from "./find_runs.js";
import { MetricsFollower } from "./metrics_follower.js";
import { FollowedFacts, isTraining, number, type ShownFacts } from "./run_facts.js";

/** How a run stands, as the page shows it. */
export interface RunSummary extends ShownFacts {
  readonly id: string;
  /** `starting`: a process has it, and no step is done; `stopped`: no process has it, and steps are left. */
  readonly state: "starting" | "training" | "finished" | "stopped";
  /** Seconds of training by part, so far; null: unknown. */
  readonly time: Readonly<Record<string, number>> | null;
  /** Lines of its metrics that cannot be read. */
  readonly damaged: number;
}

export class WatchedRun {
  readonly #id: string;
  readonly #path: string;
  readonly #metrics: MetricsFollower;
  readonly #facts: FollowedFacts;
  #summary: RunSummary | null = null;

  constructor({ id, path }: FoundRun) {
    this.#id = id;
    this.#path = path;
    this.#metrics = new MetricsFollower(join(path, "metrics.jsonl"));
    this.#facts = new FollowedFacts(path);
  }

  /** Null: not read yet. */
  get summary(): RunSummary | null {
    return this.#summary;
  }

  get lines(): readonly MetricsLine[] {
    return this.#metrics.lines;
  }

  /** Reads what is new. */
  async update(): Promise<void> {
    const training = await isTraining(this.#path);
    await this.#metrics.update();
    const facts = await this.#facts.read();
    const { last, damaged } = this.#metrics;
    const done = last !== null && facts.steps !== null && last.step >= facts.steps;
    const begun = last === null ? "starting" : "training";
    const state = done ? "finished" : training ? begun : "stopped";
    this.#summary = { ...facts, id: this.#id, state, time: timeOf(last), damaged };
  }
}

/** The parts by their names, whatever they are. */
function timeOf(line: MetricsLine | null): RunSummary["time"] {
  if (typeof line?.time !== "object" || line.time === null) return null;
  const parts = Object.entries(line.time).filter(([, seconds]) => (number(seconds) ?? -1) >= 0);
  return Object.fromEntries(parts.slice(0, 20));
}
