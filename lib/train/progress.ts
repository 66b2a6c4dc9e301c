/** The accounts of a run: what it has done and what that took. Evaluation and checkpoints are left out of the times. */
import type { ResolvedStage } from "../config/stages.js";
import type { DataPosition } from "../data/loader.js";
import type { MetricsLine, TimeByPart } from "../report/metrics.js";
import type { PartSeconds } from "./step_clock.js";

/** How far a run is, summed over its stages. */
export interface TrainerProgress {
  /** Steps done. */
  readonly step: number;
  /** Tokens of text trained on. */
  readonly tokens: number;
  /** Positions computed: tokens / K. */
  readonly positions: number;
  /** Floating-point operations of the model. */
  readonly flops: number;
  /** Seconds of training. */
  readonly seconds: number;
  /** Where they went. */
  readonly time: TimeByPart;
  /** Joules; null where the device does not count them. */
  readonly energy: number | null;
  /** Where the next batch is read. */
  readonly data: DataPosition;
}

/** What one step gave and took. */
export interface StepRecord {
  readonly lr: number;
  /** Before the update, in nats a token. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradNorm: number;
  readonly flops: number;
  readonly seconds: number;
  /** Of them, those of waiting for the batch. */
  readonly dataSeconds: number;
  /** The device's, by part; null where they were not noted. */
  readonly parts: PartSeconds | null;
  /** Joules; null where the device does not count them. */
  readonly energy: number | null;
  /** Where the batch after the step's is read. */
  readonly data: DataPosition;
}

const noTime: TimeByPart = { data: 0, embedding: 0, transformer: 0, head: 0, optimizer: 0, idle: 0 };

/** The progress of a run that has not begun. */
export const noProgress: TrainerProgress = {
  step: 0,
  tokens: 0,
  positions: 0,
  flops: 0,
  seconds: 0,
  time: noTime,
  energy: null,
  data: { epoch: 0, tokens: 0 },
};

/** The progress after one more step. */
export function advance(before: TrainerProgress, stage: ResolvedStage, record: StepRecord): TrainerProgress {
  return {
    step: before.step + 1,
    tokens: before.tokens + stage.tokensPerStep,
    positions: before.positions + stage.positionsPerStep,
    flops: before.flops + record.flops,
    seconds: before.seconds + record.seconds,
    time: addTime(before.time, record),
    energy: record.energy === null ? before.energy : (before.energy ?? 0) + record.energy,
    data: record.data,
  };
}

/** What the device did not note counts as the transformer's; what neither data nor device took, the device was idle. */
function addTime(before: TimeByPart, { seconds, dataSeconds: data, parts }: StepRecord): TimeByPart {
  const { embedding, transformer, head, optimizer } = parts ?? { ...noTime, transformer: seconds - data };
  const idle = Math.max(0, seconds - data - embedding - transformer - head - optimizer);
  return {
    data: before.data + data,
    embedding: before.embedding + embedding,
    transformer: before.transformer + transformer,
    head: before.head + head,
    optimizer: before.optimizer + optimizer,
    idle: before.idle + idle,
  };
}

/**
 * The metrics line of a step.
 * @param progress after the step
 * @param peak FLOP/s that MFU is a fraction of, or null
 * @param valLoss held-out loss after the step, or null where it was not evaluated
 */
export function metricsLine(
  progress: TrainerProgress,
  stage: ResolvedStage,
  record: StepRecord,
  peak: number | null,
  valLoss: number | null,
): MetricsLine {
  const { step, tokens, positions, seconds, flops, time, energy } = progress;
  return {
    step,
    stage: stage.index,
    patchSize: stage.patchSize,
    tokens,
    positions,
    loss: record.loss,
    lr: record.lr,
    gradNorm: record.gradNorm,
    seconds,
    tokensPerSecond: stage.tokensPerStep / record.seconds,
    flops,
    mfu: peak && record.flops / record.seconds / peak,
    time,
    ...(energy === null ? {} : { energy }),
    ...(valLoss === null ? {} : { valLoss }),
  };
}
