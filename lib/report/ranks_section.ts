/** The ranks of a run in its report: where each was, which one the others waited for, and what the exchange cost. */
import { formatDuration } from "./format.js";
import { numberTable } from "./html.js";
import type { MetricsLine } from "./metrics.js";

/** Where a rank computes. */
export interface RankPlace {
  readonly host: string;
  /** As text, such as `cpu (AMD EPYC 9654)`. */
  readonly device: string;
}

/** The ranks of a run, for its report. */
export interface RanksOfReport {
  /** Of each rank, in their order. */
  readonly places: readonly RankPlace[];
  /** Seconds of training in which the first one waited for what the ranks exchange. */
  readonly waited: number;
}

export function ranksSection({ places, waited }: RanksOfReport, metrics: readonly MetricsLine[]): string {
  const slowest = metrics.flatMap((line) => line.slowest ?? []);
  const rows = places.map(({ host, device }, rank) => {
    const behind = slowest.filter((each) => each.rank === rank).map((each) => each.behind);
    if (slowest.length === 0) return [rank, host, device];
    const mean = behind.reduce((sum, each) => sum + each, 0) / behind.length;
    const share = `${((100 * behind.length) / slowest.length).toFixed(0)}%`;
    return [rank, host, device, share, ...(behind.length === 0 ? [] : [`${(1e3 * mean).toPrecision(3)} ms`])];
  });
  const seconds = metrics.at(-1)?.seconds ?? 0;
  const share = seconds === 0 ? "" : `, ${((100 * waited) / seconds).toPrecision(3)}% of the training time,`;
  return `<section><h2>Ranks</h2>${numberTable(["Rank", "Host", "Device", "Slowest in", "Behind by"], rows)}
<p class="note">Rank 0 waited for the others and for what they exchange ${formatDuration(waited)}${share} in which it
computed nothing. A rank is the slowest of a step if it computed longest: behind the mean of the others by so much.</p></section>`;
}
