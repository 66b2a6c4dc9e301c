/** Follows all runs below a folder. */
import { type FoundRun, findRuns } from "./find_runs.js";
import { WatchedRun } from "./watched_run.js";

/** The most runs that are followed: the latest. */
const MOST_RUNS = 200;

/** Milliseconds between two looks for new runs. */
const SCAN = 2000;

export class Watcher {
  #runs = new Map<string, WatchedRun>();
  #leftOut = 0;
  #scanned = Number.NEGATIVE_INFINITY;

  constructor(readonly folder: string) {}

  /** By their names, the latest first. */
  get runs(): ReadonlyMap<string, WatchedRun> {
    return this.#runs;
  }

  /** Runs that were found but are not followed. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** Reads what is new, and now and then looks for new runs. */
  async refresh(): Promise<void> {
    if (performance.now() - this.#scanned >= SCAN) {
      this.#take(await findRuns(this.folder));
      this.#scanned = performance.now();
    }
    for (const run of this.#runs.values()) await run.update();
  }

  #take(found: readonly FoundRun[]): void {
    const followed = found.slice(0, MOST_RUNS);
    this.#leftOut = found.length - followed.length;
    this.#runs = new Map(followed.map((run) => [run.id, this.#runs.get(run.id) ?? new WatchedRun(run)]));
  }
}
