/**
 * What a page is sent of the runs: all at first, then what has changed. A run's rows are those of its thinned metrics; an
 * update says how many of the rows that the page has stay, and which ones follow them.
 */
import type { MetricsLine } from "../report/metrics.js";
import { number } from "./run_facts.js";
import type { RunSummary } from "./watched_run.js";
import type { Watcher } from "./watcher.js";

/** The columns of a row, in their order. */
export const columns = [
  "step",
  "stage",
  "patchSize",
  "tokens",
  "flops",
  "seconds",
  "loss",
  "valLoss",
  "lr",
  "gradNorm",
  "tokensPerSecond",
  "mfu",
  "deviceBytes",
  "processBytes",
] as const;

export interface RunUpdate {
  readonly id: string;
  /** Present if it has changed. */
  readonly summary?: RunSummary;
  /** Rows that stay, from the first on. */
  readonly keep: number;
  /** Rows that follow. */
  readonly rows: readonly (readonly (number | null)[])[];
}

export interface Update {
  readonly folder: string;
  /** All runs, the latest first. */
  readonly ids: readonly string[];
  readonly leftOut: number;
  /** Runs that have changed. */
  readonly runs: readonly RunUpdate[];
}

/** What one page has been sent. */
export class Feed {
  readonly #sent = new Map<string, { summary: string; lines: readonly MetricsLine[] }>();
  #ids = "";

  /** What is new since the last call; null: nothing. */
  update({ folder, runs, leftOut }: Watcher): Update | null {
    const known = [...runs].filter(([, { summary }]) => summary !== null);
    const updates = known.flatMap(([id, { summary, lines }]): RunUpdate[] => {
      const before = this.#sent.get(id) ?? { summary: "", lines: [] };
      const text = JSON.stringify(summary);
      const keep = commonLength(before.lines, lines);
      const same = keep === lines.length && keep === before.lines.length;
      if (same && text === before.summary) return [];
      this.#sent.set(id, { summary: text, lines });
      return [{ id, ...(text !== before.summary && { summary: summary! }), keep, rows: lines.slice(keep).map(rowOf) }];
    });
    const ids = known.map(([id]) => id);
    for (const id of this.#sent.keys()) if (!runs.has(id)) this.#sent.delete(id);
    const list = JSON.stringify([ids, leftOut]);
    if (updates.length === 0 && list === this.#ids) return null;
    this.#ids = list;
    return { folder, ids, leftOut, runs: updates };
  }
}

/** How many lines two lists have in common, from the first on. */
function commonLength(before: readonly MetricsLine[], now: readonly MetricsLine[]): number {
  const most = Math.min(before.length, now.length);
  let length = 0;
  while (length < most && before[length] === now[length]) length++;
  return length;
}

function rowOf(line: MetricsLine): (number | null)[] {
  const { memory, ...rest } = line;
  const values = { ...rest, deviceBytes: memory?.device, processBytes: memory?.process };
  return columns.map((column) => rounded(number(values[column])));
}

/** More digits than a chart shows. */
const rounded = (value: number | null): number | null => value && Number(value.toPrecision(8));
