/** What an arm's final models are and can do besides their loss, against the baseline's, seed by seed. */
import { type Paired, pairedDifferences } from "./paired.js";
import type { RunResult, SeedResult } from "./run_result.js";

/** Of something that is measured of every run. */
export interface Difference {
  /** Mean over the seeds of the arm's value minus the baseline's. */
  readonly mean: number;
  /** The same with its 95 per cent interval; null for a single seed. */
  readonly paired: Paired | null;
}

/** An arm's differences from the baseline; one is absent if it was not measured of every run. */
export interface Differences {
  /** Above 0 the arm is worse. */
  readonly bitsPerByte?: Difference;
  readonly activeNeurons: Difference;
  /** Above 0 the arm is better. */
  readonly clozeAccuracy?: Difference;
}

export function differencesOf({ runs }: Pick<RunResult, "runs">, baseline: Pick<RunResult, "runs">): Differences {
  const of = (value: (run: SeedResult) => number | undefined): Difference | null => {
    const each = runs.map((run, index) => {
      const [own, other] = [value(run), value(baseline.runs[index]!)];
      return own === undefined || other === undefined ? null : own - other;
    });
    const known = each.filter((difference) => difference !== null);
    if (known.length < each.length) return null;
    const paired = pairedDifferences(known);
    return { mean: paired?.mean ?? known[0]!, paired };
  };
  const bitsPerByte = of((run) => run.bitsPerByte);
  const clozeAccuracy = of((run) => run.clozeAccuracy);
  return {
    ...(bitsPerByte && { bitsPerByte }),
    activeNeurons: of((run) => run.activeNeurons)!,
    ...(clozeAccuracy && { clozeAccuracy }),
  };
}
