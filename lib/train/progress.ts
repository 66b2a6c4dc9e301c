/** The totals of a run: work done and its cost. Times exclude evaluation and checkpoints. */
import { deepFreeze } from "../config/deep_freeze.js";
import type { ResolvedStage } from "../config/stages.js";
import type { DataPosition } from "../data/loader.js";
import type { MetricsLine, SlowestRank, TimeByPart } from "../report/metrics.js";
import type { PartSeconds } from "./step_clock.js";

/** The progress of a run, summed over its stages. */
export interface TrainerProgress {
  /** Steps done. */
  readonly step: number;
  /** Tokens of text trained on. */
  readonly tokens: number;
  /** Positions computed: tokens / K. */
  readonly positions: number;
  /** Floating-point operations of the model. */
  readonly flops: number;
  /** Floating-point operations of the optimizer's matrix products, which `flops` leaves out; 0 with AdamW. */
  readonly optimizerFlops: number;
  /** Seconds of training. */
  readonly seconds: number;
  /** The seconds by part. */
  readonly time: TimeByPart;
  /** Joules; null if the device does not count them. */
  readonly energy: number | null;
  /** Position of the next batch. */
  readonly data: DataPosition;
}

/** The results and cost of one step. */
export interface StepRecord {
  readonly lr: number;
  /** Before the update, in nats per token. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradNorm: number;
  /** Labels that counted in the loss; null: all did. */
  readonly labels: number | null;
  readonly flops: number;
  readonly optimizerFlops: number;
  readonly seconds: number;
  /** Part of `seconds`: waiting for the batch. */
  readonly dataSeconds: number;
  /** The device's seconds by part; null if they were not recorded. */
  readonly parts: PartSeconds | null;
  /** Of several ranks; null if there is one, or their times were not recorded. */
  readonly slowest: SlowestRank | null;
  /** Joules; null if the device does not count them. */
  readonly energy: number | null;
  /** Position of the batch after the step's. */
  readonly data: DataPosition;
}

const noTime: TimeByPart = { data: 0, embedding: 0, transformer: 0, head: 0, optimizer: 0, idle: 0 };

/** The progress of a run that has not begun. */
export const noProgress: TrainerProgress = {
  step: 0,
  tokens: 0,
  positions: 0,
  flops: 0,
  optimizerFlops: 0,
  seconds: 0,
  time: noTime,
  energy: null,
  data: { epoch: 0, tokens: 0 },
};

/** The progress after one more step. */
export function advance(before: TrainerProgress, stage: ResolvedStage, record: StepRecord): TrainerProgress {
  return deepFreeze({
    step: before.step + 1,
    tokens: before.tokens + stage.tokensPerStep,
    positions: before.positions + stage.positionsPerStep,
    flops: before.flops + record.flops,
    optimizerFlops: before.optimizerFlops + record.optimizerFlops,
    seconds: before.seconds + record.seconds,
    time: addTime(before.time, record),
    energy: record.energy === null ? before.energy : (before.energy ?? 0) + record.energy,
    data: record.data,
  });
}

/** Seconds without a record by part count as the transformer's; those of neither data nor device count as idle. */
function addTime(before: TimeByPart, { seconds, dataSeconds: data, parts }: StepRecord): TimeByPart {
  const { embedding, transformer, head, optimizer, communication } = parts ?? {
    ...noTime,
    transformer: seconds - data,
    communication: 0,
  };
  const idle = Math.max(0, seconds - data - embedding - transformer - head - optimizer - communication);
  const exchanged = (before.communication ?? 0) + communication;
  return {
    data: before.data + data,
    embedding: before.embedding + embedding,
    transformer: before.transformer + transformer,
    head: before.head + head,
    optimizer: before.optimizer + optimizer,
    ...(exchanged > 0 && { communication: exchanged }),
    idle: before.idle + idle,
  };
}

/**
 * The metrics line of a step.
 * @param progress after the step
 * @param peak FLOP/s that MFU is a fraction of, or null
 * @param skipped updates that were skipped so far
 * @param measured what was evaluated or measured after the step
 */
export function metricsLine(
  progress: TrainerProgress,
  stage: ResolvedStage,
  record: StepRecord,
  peak: number | null,
  skipped: number,
  measured: Pick<MetricsLine, "valLoss" | "valBitsPerByte" | "memory">,
): MetricsLine {
  const { step, tokens, positions, seconds, flops, optimizerFlops, time, energy } = progress;
  return deepFreeze({
    step,
    stage: stage.index,
    patchSize: stage.patchSize,
    tokens,
    positions,
    loss: record.loss,
    lr: record.lr,
    gradNorm: record.gradNorm,
    ...(record.labels !== null && { labels: record.labels }),
    seconds,
    tokensPerSecond: stage.tokensPerStep / record.seconds,
    flops,
    ...(optimizerFlops > 0 && { optimizerFlops }),
    mfu: peak && record.flops / record.seconds / peak,
    time,
    ...(record.slowest !== null && { slowest: record.slowest }),
    ...(energy === null ? {} : { energy }),
    ...(skipped === 0 ? {} : { skipped }),
    ...measured,
  });
}
