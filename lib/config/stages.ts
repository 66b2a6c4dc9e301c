/** Resolves the stages of a run config: from shares of tokens to steps. */
import { Arguments } from "../arguments.js";
import { ConfigError } from "../errors.js";
import type { BatchConfig, OptimizerConfig, RunConfig } from "./config.js";
import { labelWeightValues } from "./label_weights.js";
import { checkParsed } from "./parsed.js";
import { defaultDecayFraction, type Schedule } from "./schedule.js";

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

/**
 * The stages of a run. A stage's share is counted in tokens and rounded to whole steps; a stage without a fraction
 * takes what the others leave after rounding. If the run's length is given in steps and the stages take up the whole
 * run, their steps sum to it exactly.
 * @param trainTokensAvailable tokens in the training shards: one epoch
 * @throws ConfigError if a stage's share is less than half a step
 */
export function resolveStages(config: RunConfig, trainTokensAvailable: number): ResolvedStage[] {
  const check = new Arguments("resolveStages");
  checkParsed(check, "resolveStages", config);
  check.wholeNumber("trainTokensAvailable", trainTokensAvailable, 0);
  const batches = config.stages.map((stage) => ({ ...config.batch, ...stage.batch }));
  const tokensPerStep = batches.map((batch) => batch.tokensPerStep);
  const steps = countSteps(config, tokensPerStep, trainTokensAvailable);
  const totalSteps = steps.reduce((a, b) => a + b, 0);
  let firstStep = 0;
  return config.stages.map((stage, index) => {
    const batch = batches[index]!;
    const count = steps[index]!;
    const begin = firstStep;
    firstStep += count;
    return {
      index,
      patchSize: stage.patchSize,
      firstStep: begin,
      steps: count,
      tokens: count * batch.tokensPerStep,
      ...batch,
      sequencesPerStep: batch.tokensPerStep / (stage.patchSize * batch.sequenceLength),
      positionsPerStep: batch.tokensPerStep / stage.patchSize,
      optimizer: resolveOptimizer(config, stage),
      schedule: resolveSchedule(config, stage),
      scheduleFirstStep: config.schedule.perStage ? begin : 0,
      scheduleSteps: config.schedule.perStage ? count : totalSteps,
      keepOptimizer: index > 0 && (stage.keepOptimizer ?? config.keepOptimizer),
      labelWeights: labelWeightValues(stage.labelWeights ?? config.labelWeights, stage.patchSize),
    };
  });
}

function countSteps(config: RunConfig, tokensPerStep: readonly number[], available: number): number[] {
  const shares = shareOfEach(config.stages);
  const target = totalTokens(config.train, shares, tokensPerStep, available);
  const steps = shares.map((share, index) => Math.round((share * target) / tokensPerStep[index]!));
  const openIndex = config.stages.findIndex((stage) => stage.fraction === undefined);
  const coversAll = Math.abs(shares.reduce((a, b) => a + b, 0) - 1) < 1e-9;
  const filler = openIndex >= 0 ? openIndex : steps.length - 1;
  if (openIndex >= 0 || (coversAll && config.train.steps !== undefined)) {
    const others = (count: (index: number) => number) =>
      steps.reduce((sum, _, index) => sum + (index === filler ? 0 : count(index)), 0);
    steps[filler] =
      config.train.steps !== undefined
        ? config.train.steps - others((index) => steps[index]!)
        : Math.round((target - others((index) => steps[index]! * tokensPerStep[index]!)) / tokensPerStep[filler]!);
  }
  steps.forEach((count, index) => {
    if (count >= 1) return;
    const share = Math.round(shares[index]! * target);
    throw new ConfigError(
      `stages.${index}: expected a share of at least one step of ${tokensPerStep[index]} tokens ` +
        `but received ${share} tokens of ${Math.round(target)}`,
    );
  });
  return steps;
}

function shareOfEach(stages: readonly Stage[]): number[] {
  const given = stages.reduce((sum, { fraction }) => sum + (fraction ?? 0), 0);
  return stages.map(({ fraction }) => fraction ?? 1 - given);
}

function totalTokens(
  train: RunConfig["train"],
  shares: readonly number[],
  tokensPerStep: readonly number[],
  available: number,
): number {
  if (train.tokens !== undefined) return train.tokens;
  if (train.epochs !== undefined) return Math.round(train.epochs * available);
  // Shares are of tokens: if step sizes differ, find the tokens for which the stages' steps sum to train.steps.
  const stepsPerToken = shares.reduce((sum, share, index) => sum + share / tokensPerStep[index]!, 0);
  const covered = shares.reduce((a, b) => a + b, 0);
  return (train.steps! * covered) / stepsPerToken;
}

function resolveOptimizer({ optimizer }: RunConfig, stage: Stage): OptimizerConfig {
  const { muon, ...rest } = stage.optimizer ?? {};
  return { ...optimizer, ...rest, ...(optimizer.muon && { muon: { ...optimizer.muon, ...muon } }) };
}

function resolveSchedule({ schedule }: RunConfig, stage: Stage): Schedule {
  const { type, warmupSteps, minLrRatio, decayFraction } = { ...schedule, ...stage.schedule };
  return { type, warmupSteps, minLrRatio, decayFraction: decayFraction ?? defaultDecayFraction };
}
