/** Resolves the stages of a run config: overrides applied, lengths in steps. */
import { Arguments } from "../arguments.js";
import type { BatchConfig, OptimizerConfig, RunConfig } from "./config.js";
import { deepFreeze } from "./deep_freeze.js";
import { labelWeightValues } from "./label_weights.js";
import { checkParsed } from "./parsed.js";
import { type Schedule, scheduleDefaults } from "./schedule.js";
import { countSteps, countsFlops } from "./stage_steps.js";
import { batchOf, tokensPerStep } from "./step_size.js";

/** A stage with its overrides applied and its length in steps. */
export interface ResolvedStage {
  /** Position in the run, from 0. */
  readonly index: number;
  /** K: tokens per patch. */
  readonly patchSize: number;
  /** The run's step (from 0) at which the stage begins, and the stage's number of steps. */
  readonly firstStep: number;
  readonly steps: number;
  /** Tokens the stage trains on: steps * tokensPerStep. */
  readonly tokens: number;
  readonly tokensPerStep: number;
  /** Positions per sequence. */
  readonly sequenceLength: number;
  readonly sequencesPerStep: number;
  /** Positions the transformer computes per step: tokensPerStep / patchSize. */
  readonly positionsPerStep: number;
  /** Sequences per forward and backward pass, or "auto". */
  readonly microBatch: BatchConfig["microBatch"];
  readonly optimizer: OptimizerConfig;
  readonly schedule: Schedule;
  /** The run's step at which the stage's schedule begins, and its length: the stage's own or the whole run's. */
  readonly scheduleFirstStep: number;
  readonly scheduleSteps: number;
  /** Whether the stage begins with the previous one's optimizer state; false for the first. */
  readonly keepOptimizer: boolean;
  /** Weight of the label at distance 1 to K of a patch, summing to 1. */
  readonly labelWeights: readonly number[];
}

type Stage = RunConfig["stages"][number];

/** Steps of all stages. */
export function stepsOf(stages: readonly Pick<ResolvedStage, "steps">[]): number {
  return stages.reduce((sum, { steps }) => sum + steps, 0);
}

/** Floating-point operations of a step, such as `stepFlops` counts them for a model. */
export type CountFlops = (step: Pick<ResolvedStage, "patchSize" | "sequenceLength" | "positionsPerStep">) => number;

/**
 * The stages of a run, frozen. A stage's share is rounded to whole steps; a stage without a fraction or steps takes what the
 * others leave after rounding. If the stages take up the whole run, and its length or their shares are in steps or FLOPs, the last of
 * them takes what the others leave: their steps sum to `train.steps` exactly, and their FLOPs come as near to
 * `train.flops` as whole steps allow.
 * @param trainTokensAvailable tokens in the training shards: one epoch
 * @param countFlops FLOPs of a step: needed if the run's length or its stages' shares are in FLOPs
 * @throws TypeError if `countFlops` is needed but missing
 * @throws ConfigError if a stage's share is less than half a step
 *
 * @example
 * ```ts
 * import { loadRunConfig, resolveStages, TokenDataset } from "nextpatch";
 *
 * const config = await loadRunConfig("config.yaml");
 * await using dataset = await TokenDataset.open("data/mine/train_*.bin");
 * for (const { patchSize, steps, tokens } of resolveStages(config, dataset.tokenCount)) {
 *   console.log(`K = ${patchSize}: ${steps} steps, ${tokens} tokens`);
 * }
 * ```
 */
export function resolveStages(
  config: RunConfig,
  trainTokensAvailable: number,
  countFlops?: CountFlops,
): readonly ResolvedStage[] {
  const check = new Arguments("resolveStages");
  checkParsed(check, "resolveStages", config);
  check.wholeNumber("trainTokensAvailable", trainTokensAvailable, 0);
  check.callback("countFlops", countFlops);
  if (countFlops === undefined && countsFlops(config)) {
    check.fail(TypeError, "countFlops", "a function, as the config counts in FLOPs,", "nothing");
  }
  const batches = config.stages.map((stage) => batchOf(config.batch, stage));
  const sizes = config.stages.map(({ patchSize }, index) => {
    const { sequenceLength } = batches[index]!;
    const tokens = tokensPerStep(batches[index]!, patchSize);
    return { patchSize, sequenceLength, tokensPerStep: tokens, positionsPerStep: tokens / patchSize };
  });
  const costs = sizes.map((size) => ({
    tokens: size.tokensPerStep,
    steps: 1,
    flops: countFlops?.(size) ?? Number.NaN,
  }));
  const steps = countSteps(config, costs, trainTokensAvailable);
  const totalSteps = steps.reduce((a, b) => a + b, 0);
  let firstStep = 0;
  const resolved = config.stages.map((stage, index) => {
    const size = sizes[index]!;
    const count = steps[index]!;
    const begin = firstStep;
    firstStep += count;
    return {
      index,
      ...size,
      firstStep: begin,
      steps: count,
      tokens: count * size.tokensPerStep,
      sequencesPerStep: size.positionsPerStep / size.sequenceLength,
      microBatch: batches[index]!.microBatch,
      optimizer: resolveOptimizer(config, stage),
      schedule: resolveSchedule(config, stage),
      scheduleFirstStep: config.schedule.perStage ? begin : 0,
      scheduleSteps: config.schedule.perStage ? count : totalSteps,
      keepOptimizer: index > 0 && (stage.keepOptimizer ?? config.keepOptimizer),
      labelWeights: labelWeightValues(stage.labelWeights ?? config.labelWeights, stage.patchSize),
    };
  });
  return deepFreeze(resolved);
}

function resolveOptimizer({ optimizer }: RunConfig, stage: Stage): OptimizerConfig {
  const { muon, ...rest } = stage.optimizer ?? {};
  return { ...optimizer, ...rest, ...(optimizer.muon && { muon: { ...optimizer.muon, ...muon } }) };
}

function resolveSchedule({ schedule }: RunConfig, stage: Stage): Schedule {
  const { type, warmupSteps, minLrRatio, decayFraction } = { ...schedule, ...stage.schedule };
  return { type, warmupSteps, minLrRatio, decayFraction: decayFraction ?? scheduleDefaults.decayFraction };
}
