/** What a run will take on hardware that is not there: time, memory and GPU-hours, token by token and in its stages. */
import { deriveConfig } from "../compare/derive.js";
import type { RunConfig } from "../config/config.js";
import { type ResolvedStage, resolveStages } from "../config/stages.js";
import { ConfigError } from "../errors.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { parameterCount } from "../hf/names.js";
import { forwardFlops, stepFlops } from "../nn/flops.js";
import { optimizerFlops } from "../optim/optimizer.js";
import { shareOf } from "../train/join_ranks.js";
import { type StageCost, stageCosts } from "../train/stage_costs.js";
import { bucketsOf } from "./buckets.js";
import { type RankMemory, rankMemory } from "./rank_memory.js";
import { checkGpus, mostRanks } from "./ranks.js";
import { type Cluster, type Ring, ringOf } from "./ring.js";
import { type StepTime, stepBytes, stepTime } from "./step_time.js";

/** A stage on a cluster. */
export interface PlannedStage extends StageCost {
  /** Sequences of a rank in a step, and in a forward and backward pass. */
  readonly sequencesPerRank: number;
  readonly microBatch: number;
  readonly step: StepTime;
  readonly seconds: number;
}

/** What a run takes in all. */
export interface Total {
  readonly steps: number;
  readonly tokens: number;
  /** Of the model's forward and backward; see nn/flops.ts. */
  readonly flops: number;
  readonly seconds: number;
  readonly days: number;
  readonly gpuHours: number;
  readonly tokensPerDay: number;
  /** Share of the speed of as many single GPUs. */
  readonly efficiency: number;
}

export interface PlannedTraining {
  readonly stages: readonly PlannedStage[];
  readonly total: Total;
  readonly memory: RankMemory;
  /** The most GPUs that it can use: one for each sequence of a step, in every stage. */
  readonly mostGpus: number;
}

export interface ClusterPlan {
  readonly parameters: number;
  readonly ring: Ring;
  /** Bytes that a rank sends in a step; with ZeRO-2 of gradients in each micro-batch. */
  readonly bytesPerStep: { readonly reduceScatter: number; readonly allGather: number };
  readonly zero: 1 | 2;
  /** On as many tokens as the config's stages. */
  readonly tokenLevel: PlannedTraining;
  /** The config's stages; null: they are token-level. */
  readonly staged: PlannedTraining | null;
}

/** A config, and how messages name it. */
export interface Training {
  readonly label: string;
  readonly config: RunConfig;
}

/**
 * Plans a config's training in its stages, and token by token.
 * @param shape the model
 * @param available tokens of an epoch
 * @param mfu the share of its peak that a single GPU reaches
 * @throws ConfigError if the run cannot be divided so
 */
export function planCluster(
  training: Training,
  shape: LlamaConfig,
  available: number,
  cluster: Cluster,
  mfu: number,
): ClusterPlan {
  const ring = ringOf(cluster);
  const plan = (each: Training) => planTraining(each, shape, available, cluster, ring, mfu);
  const own = plan(training);
  const inPatches = own.stages.some(({ patchSize }) => patchSize > 1);
  return {
    parameters: parameterCount(shape),
    ring,
    bytesPerStep: stepBytes(ring, bucketsOf(shape, shareOf(training.config.parallel, 0, cluster.gpus))),
    zero: training.config.parallel.zero,
    tokenLevel: inPatches ? plan(tokenLevel(training.config, own.total.tokens)) : own,
    staged: inPatches ? own : null,
  };
}

/** The same training token by token. */
function tokenLevel(config: RunConfig, tokens: number): Training {
  const label = "token-level training on as many tokens";
  return { label, config: deriveConfig(config, { stages: [{ patchSize: 1 }], train: { tokens } }, label) };
}

function planTraining(
  { label, config }: Training,
  shape: LlamaConfig,
  available: number,
  cluster: Cluster,
  ring: Ring,
  mfu: number,
): PlannedTraining {
  const { gpu, gpus } = cluster;
  if (config.precision === "fp32") {
    throw new ConfigError("precision: expected auto or bf16, which a plan is made for, but received fp32");
  }
  const stages = resolveStages(config, available, (step) => stepFlops(shape, step));
  checkGpus(label, stages, cluster);
  const ofRank = stages.map((stage) => {
    const part = { sequencesPerStep: stage.sequencesPerStep / gpus, positionsPerStep: stage.positionsPerStep / gpus };
    return { ...stage, ...part, tokensPerStep: stage.tokensPerStep / gpus };
  });
  const evaluated = config.eval === null ? 0 : config.batch.sequenceLength;
  const model = { config: shape, dtype: "bf16", recompute: config.recompute } as const;
  const share = shareOf(config.parallel, 0, gpus);
  const memory = rankMemory({ ...model, share }, ofRank, evaluated, gpu.memoryBytes);
  const planned = stageCosts(stages, shape).map((cost, index): PlannedStage => {
    const stage = ofRank[index]!;
    const microBatch = memory.batches[index]!.sequences;
    const flops = stepFlops(shape, stage) + optimizerFlops(shape, stage.optimizer);
    const rank = {
      computeSeconds: flops / (gpu.peakFlops * mfu),
      microBatches: stage.sequencesPerStep / microBatch,
      headShare: headShare(shape, stage),
      share,
    };
    const step = stepTime(rank, bucketsOf(shape, share), ring);
    const { sequencesPerStep: sequencesPerRank } = stage;
    return { ...cost, sequencesPerRank, microBatch, step, seconds: cost.steps * step.seconds };
  });
  return { stages: planned, total: totalOf(planned, gpus), memory, mostGpus: mostRanks(stages, cluster) };
}

/** The head's share of a stage's arithmetic. */
function headShare(
  shape: LlamaConfig,
  { sequenceLength, patchSize }: Pick<ResolvedStage, "sequenceLength" | "patchSize">,
) {
  const { head, projections, attention } = forwardFlops(shape, sequenceLength, patchSize);
  return head / (head + projections + attention);
}

function totalOf(stages: readonly PlannedStage[], gpus: number): Total {
  const sum = (of: (stage: PlannedStage) => number) => stages.reduce((total, stage) => total + of(stage), 0);
  const [seconds, tokens] = [sum((stage) => stage.seconds), sum((stage) => stage.tokens)];
  return {
    steps: sum((stage) => stage.steps),
    tokens,
    flops: sum((stage) => stage.flops),
    seconds,
    days: seconds / 86400,
    gpuHours: (gpus * seconds) / 3600,
    tokensPerDay: (tokens / seconds) * 86400,
    efficiency: sum(({ steps, step }) => steps * step.computeSeconds) / seconds,
  };
}
