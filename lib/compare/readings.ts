/** The readings of a comparison: at equal data, at equal cost, at equal loss, each over all seeds. Numbers only. */

import type { Environment } from "../report/environment.js";
import type { StageCost } from "../train/stage_costs.js";
import { type Differences, differencesOf } from "./differences.js";
import { type Paired, pairedDifferences } from "./paired.js";
import type { RunResult } from "./run_result.js";
import type { StartResult } from "./start_model.js";
import type { TuneResults } from "./tune.js";

/** An arm whose first stage trains on patches of `patchSize` tokens for `fraction` of the run, as the config counts it. */
export interface StagedResult extends RunResult {
  readonly patchSize: number;
  readonly fraction: number;
  /** What each of its stages comes to, in order. */
  readonly stages: readonly StageCost[];
}

/** Shares of the baseline's totals. Seconds and joules are null where they were not measured in the same environment. */
export interface CostRatio {
  readonly flops: number;
  readonly seconds: number | null;
  readonly energy: number | null;
}

/** An arm's final loss against the baseline's. */
export interface LossDifference {
  /** Mean over the seeds of its validation loss minus the baseline's, nats per token; above 0 it is worse. */
  readonly valLossDelta: number;
  /** The same with its 95 per cent interval; null for a single seed. */
  readonly paired: Paired | null;
}

/** An arm against the baseline. */
export interface ArmDifferences extends LossDifference {
  /** Those of what its final models are and can do besides their loss. */
  readonly differences: Differences;
}

/** A way of training in stages, with its readings against the baseline. */
export interface MethodResult extends StagedResult, ArmDifferences {
  /** Its cost as a share of the baseline's. */
  readonly ratio: CostRatio;
  /** Equal cost: on as many tokens as the baseline's FLOPs pay for; null unless asked for. */
  readonly equalCost: (StagedResult & ArmDifferences) | null;
  /** Equal loss: the share of the baseline's cost at which it reaches the baseline's final loss; null: never. */
  readonly equalLoss: { readonly flops: number; readonly seconds: number | null } | null;
  /** If rates were tuned: the same, at equal cost if that was asked for, with the baseline's rate. */
  readonly atBaselineRate?: StagedResult & ArmDifferences;
}

/** What `nextpatch compare --json` prints. A loss that is not finite is NaN here and null there. */
export interface Comparison
  extends ArmDifferences,
    Pick<MethodResult, "ratio" | "equalCost" | "equalLoss" | "atBaselineRate"> {
  readonly seeds: readonly number[];
  /** Of the model. */
  readonly parameters: number;
  /** With `init.from`: the model that all runs continue. */
  readonly start?: StartResult;
  /** Token-level training. */
  readonly baseline: RunResult;
  /** The first method: the config's stages on the same tokens, or the first recipe. The readings are its. */
  readonly patch: StagedResult;
  /** With recipes: all of them by their names. */
  readonly recipes?: Readonly<Record<string, MethodResult>>;
  /** With `--tune`: what was tried for each arm. */
  readonly tune?: TuneResults;
  /** With `--sweep`: staged runs at other patch sizes and fractions. */
  readonly sweep?: readonly SweepResult[];
  /** Where the runs were trained; the seconds of the one with most of the baseline's runs are compared. */
  readonly environments: readonly Environment[];
}

/** A staged run of a sweep, with its readings against the baseline. */
export interface SweepResult extends StagedResult, ArmDifferences {
  readonly ratio: CostRatio;
}

/** The arms of a method. */
export interface MethodArms {
  readonly run: StagedResult;
  readonly equalCost: StagedResult | null;
  /** Null: nothing was tuned. */
  readonly atBaselineRate: StagedResult | null;
}

export interface Results
  extends Pick<Comparison, "seeds" | "parameters" | "start" | "baseline" | "tune" | "environments"> {
  /** By recipe, or the config's own stages alone. */
  readonly methods: Readonly<Record<string, MethodArms>>;
  /** Whether the methods are recipes. */
  readonly recipes: boolean;
  /** Absent unless asked for. */
  readonly sweep?: readonly StagedResult[];
}

export function compareRuns(results: Results): Comparison {
  const { start, baseline, methods, recipes, sweep, tune, seeds, parameters, environments } = results;
  const byName = Object.entries(methods).map(([name, arms]) => [name, methodResult(arms, baseline)] as const);
  const { ratio, valLossDelta, paired, differences, equalCost, equalLoss, atBaselineRate } = byName[0]![1];
  return {
    ...(start && { start }),
    baseline,
    patch: Object.values(methods)[0]!.run,
    ratio,
    valLossDelta,
    paired,
    differences,
    equalCost,
    equalLoss,
    ...(atBaselineRate && { atBaselineRate }),
    ...(recipes && { recipes: Object.fromEntries(byName) }),
    ...(tune && { tune }),
    ...(sweep && { sweep: sweep.map((run) => ({ ...against(run, baseline), ratio: costRatio(run, baseline) })) }),
    seeds,
    parameters,
    environments,
  };
}

function methodResult({ run, equalCost, atBaselineRate }: MethodArms, baseline: RunResult): MethodResult {
  return {
    ...against(run, baseline),
    ratio: costRatio(run, baseline),
    equalCost: equalCost && against(equalCost, baseline),
    equalLoss: costOfLoss(run, baseline) ?? (equalCost && costOfLoss(equalCost, baseline)),
    ...(atBaselineRate && { atBaselineRate: against(atBaselineRate, baseline) }),
  };
}

/** A run with its loss against the baseline's, paired by seed. */
function against<Run extends RunResult>(run: Run, baseline: RunResult): Run & ArmDifferences {
  const losses = run.runs.map(({ valLoss }, index) => valLoss - baseline.runs[index]!.valLoss);
  const paired = pairedDifferences(losses);
  return { ...run, valLossDelta: paired?.mean ?? losses[0]!, paired, differences: differencesOf(run, baseline) };
}

function costRatio(run: RunResult, baseline: RunResult): CostRatio {
  return {
    flops: run.flops / baseline.flops,
    seconds: share(run.seconds, baseline.seconds),
    energy: share(run.energy, baseline.energy),
  };
}

function share(of: number | null, whole: number | null): number | null {
  return of === null || whole === null ? null : of / whole;
}

/**
 * The share of the baseline's cost at which `run` first reaches the loss at the end of the baseline's curve, linearly
 * interpolated between the evaluations before and after; null if it never does. No point is assumed before the first
 * evaluation.
 */
export function costOfLoss(
  run: Pick<RunResult, "curve">,
  baseline: Pick<RunResult, "curve" | "flops" | "seconds">,
): { flops: number; seconds: number | null } | null {
  const target = baseline.curve.at(-1)!.valLoss;
  const index = run.curve.findIndex(({ valLoss }) => valLoss <= target);
  if (index < 0) return null;
  const after = run.curve[index]!;
  const before = run.curve[index - 1] ?? after;
  // Where between `before` and `after` the loss is reached; an evaluation may have been NaN.
  const part = (before.valLoss - target) / (before.valLoss - after.valLoss);
  const between = (from: number, to: number) => (Number.isFinite(part) ? from + part * (to - from) : to);
  const seconds = before.seconds === null || after.seconds === null ? null : between(before.seconds, after.seconds);
  return { flops: between(before.flops, after.flops) / baseline.flops, seconds: share(seconds, baseline.seconds) };
}
