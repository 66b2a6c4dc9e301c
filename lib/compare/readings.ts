/** The three readings of a comparison: at equal data, at equal cost, at equal loss. Numbers only. */
import type { MetricsLine, TimeByPart } from "../report/metrics.js";
import type { ArmEvaluation } from "./arm_evaluation.js";

/** A point of a validation curve: the cost so far, and the loss. */
export interface CurvePoint {
  /** Tokens of text trained on. */
  readonly tokens: number;
  readonly flops: number;
  /** Seconds of training, without evaluation and checkpoints. */
  readonly seconds: number;
  /** Token-level loss on the held-out data, in nats per token. */
  readonly valLoss: number;
}

/** A whole run: its totals, its validation loss at the end and over the run, and what its final model is and can do. */
export interface RunResult extends CurvePoint, ArmEvaluation {
  /** Joules if the device counts them, else null. */
  readonly energy: number | null;
  /** Where the seconds went. */
  readonly time: TimeByPart;
  readonly curve: readonly CurvePoint[];
  /** `valLoss` in bits per byte of text; absent where the number of bytes is not known. */
  readonly bitsPerByte?: number;
}

/** A run whose first stage trains on patches of `patchSize` tokens for `fraction` of the tokens. */
export interface StagedResult extends RunResult {
  readonly patchSize: number;
  readonly fraction: number;
}

/** Shares of the baseline's totals. */
export interface CostRatio {
  readonly flops: number;
  readonly seconds: number;
  readonly energy: number | null;
}

/** What `nextpatch compare --json` prints. A loss that is not finite is NaN here and null there. */
export interface Comparison {
  /** Token-level training. */
  readonly baseline: RunResult;
  /** Two stages, on the same tokens. */
  readonly patch: StagedResult;
  /** Cost of `patch` as a share of the baseline's. */
  readonly ratio: CostRatio;
  /** Equal data: validation loss of `patch` minus the baseline's, nats per token; above 0 the staged run is worse. */
  readonly valLossDelta: number;
  /** Equal cost: two stages on as many tokens as the baseline's FLOPs pay for; null unless asked for. */
  readonly equalCost: (StagedResult & { readonly valLossDelta: number }) | null;
  /** Equal loss: the share of the baseline's cost at which a staged run reaches its final loss; null: never. */
  readonly equalLoss: { readonly flops: number; readonly seconds: number } | null;
  /** With `--sweep`: staged runs on the same tokens at other patch sizes and fractions. */
  readonly sweep?: readonly SweepResult[];
}

/** A staged run of a sweep, with its readings against the baseline. */
export interface SweepResult extends StagedResult {
  readonly ratio: CostRatio;
  readonly valLossDelta: number;
}

/** The result of a finished run from the lines of its evaluations, or all its lines. */
export function runResult(lines: readonly MetricsLine[], evaluation: ArmEvaluation): RunResult {
  const curve = lines.flatMap(({ tokens, flops, seconds, valLoss }) =>
    valLoss === undefined ? [] : [{ tokens, flops, seconds, valLoss }],
  );
  // A run ends with an evaluation, so its last point has its totals.
  const { energy = null, time, valBitsPerByte } = lines.at(-1)!;
  const bits = valBitsPerByte === undefined ? {} : { bitsPerByte: valBitsPerByte };
  return { ...curve.at(-1)!, energy, time: time!, curve, ...bits, ...evaluation };
}

export interface Results {
  readonly baseline: RunResult;
  readonly patch: StagedResult;
  readonly equalCost: StagedResult | null;
  /** Absent unless asked for. */
  readonly sweep?: readonly StagedResult[];
}

export function compareRuns({ baseline, patch, equalCost, sweep }: Results): Comparison {
  const valLossDelta = (run: RunResult) => run.valLoss - baseline.valLoss;
  return {
    baseline,
    patch,
    ratio: costRatio(patch, baseline),
    valLossDelta: valLossDelta(patch),
    equalCost: equalCost && { ...equalCost, valLossDelta: valLossDelta(equalCost) },
    equalLoss: costOfLoss(patch, baseline) ?? (equalCost && costOfLoss(equalCost, baseline)),
    ...(sweep && {
      sweep: sweep.map((run) => ({ ...run, ratio: costRatio(run, baseline), valLossDelta: valLossDelta(run) })),
    }),
  };
}

function costRatio(run: RunResult, baseline: RunResult): CostRatio {
  return {
    flops: run.flops / baseline.flops,
    seconds: run.seconds / baseline.seconds,
    energy: run.energy === null || baseline.energy === null ? null : run.energy / baseline.energy,
  };
}

/**
 * The share of the baseline's cost at which `run` first reaches the baseline's final loss, linearly interpolated
 * between the evaluations before and after; null if it never does. No point is assumed before the first evaluation.
 */
export function costOfLoss(run: RunResult, baseline: RunResult): { flops: number; seconds: number } | null {
  const target = baseline.valLoss;
  const index = run.curve.findIndex(({ valLoss }) => valLoss <= target);
  if (index < 0) return null;
  const after = run.curve[index]!;
  const before = run.curve[index - 1] ?? after;
  // Where between `before` and `after` the loss is reached; an evaluation may have been NaN.
  const share = (before.valLoss - target) / (before.valLoss - after.valLoss);
  const at = (key: "flops" | "seconds") =>
    Number.isFinite(share) ? before[key] + share * (after[key] - before[key]) : after[key];
  return { flops: at("flops") / baseline.flops, seconds: at("seconds") / baseline.seconds };
}
