/** Results of comparisons that were never run, for tests of readings, words and pages. */

import {
  type Comparison,
  compareRuns,
  type MethodArms,
  type Results,
  type StagedResult,
} from "../../lib/compare/readings.js";
import type { RunResult } from "../../lib/compare/run_result.js";
import type { Environment } from "../../lib/report/environment.js";
import type { TimeByPart } from "../../lib/report/metrics.js";

export const madeEnvironment: Environment = {
  device: "cpu: A <fast> one",
  precision: "bf16",
  threads: null,
  processor: "P, 2 cores",
  memory: 2 ** 34,
  system: "Linux 6",
  node: "v20",
  nextpatch: "1.2.3",
  libraries: { oneDNN: "2.6" },
  commit: "abc123",
  trainTokens: 700,
  valTokens: 32,
  productTable: null,
  date: "2026-01-01T00:00:00.000Z",
};

export interface Made {
  readonly energy?: number | null;
  readonly time?: TimeByPart;
  /** Final losses by seed, from seed 1 on; default: the curve's last, of one seed. */
  readonly finals?: readonly number[];
}

/** An arm whose curve has these points. */
export function madeRun(curve: RunResult["curve"], { energy = null, time, finals }: Made = {}): RunResult {
  const last = curve.at(-1)!;
  const { tokens, flops, seconds } = last;
  const losses = finals ?? [last.valLoss];
  return {
    tokens,
    flops,
    seconds,
    valLoss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
    optimizerFlops: 0,
    energy,
    // Whatever the run, five seconds of it are the embedding's.
    time: time ?? { data: 0, embedding: 5, transformer: seconds! - 5, head: 0, optimizer: 0, idle: 0 },
    curve,
    activeNeurons: flops / 1000,
    activations: { layers: [{ active: flops / 1000 }], threshold: 0.5, patchSize: 1 },
    runs: losses.map((valLoss, index) => ({
      seed: index + 1,
      valLoss,
      activeNeurons: flops / 1000,
      seconds: seconds!,
      energy,
      environments: [0],
    })),
  };
}

/** The same in two stages. */
export function madeStaged(run: RunResult): StagedResult {
  const stages = [
    { patchSize: 4, steps: 8, tokens: 512, flops: 20 },
    { patchSize: 1, steps: 4, tokens: 256, flops: 30 },
  ];
  return { ...run, patchSize: 4, fraction: 0.6667, stages };
}

/** The comparison of a baseline with the config's own stages, or with recipes. */
export function madeComparison(
  baseline: RunResult,
  methods: Readonly<Record<string, Partial<MethodArms> & Pick<MethodArms, "run">>>,
  more: Partial<Results> = {},
): Comparison {
  return compareRuns({
    seeds: baseline.runs.map(({ seed }) => seed),
    parameters: 100,
    baseline,
    methods: Object.fromEntries(
      Object.entries(methods).map(([name, arms]) => [name, { equalCost: null, atBaselineRate: null, ...arms }]),
    ),
    recipes: methods.patch === undefined,
    environments: [madeEnvironment],
    ...more,
  });
}
