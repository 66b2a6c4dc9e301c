/** Whether several ranks can share the steps of a run. */
import type { ResolvedStage } from "../config/stages.js";
import { ConfigError } from "../errors.js";

/**
 * Every rank takes as many sequences of a step, in whole micro-batches.
 * @throws ConfigError naming the stage, and the most ranks that can
 */
export function checkRanks(stages: readonly ResolvedStage[], ranks: number): void {
  if (ranks === 1) return;
  if (stages.some(({ optimizer }) => optimizer.type === "muon")) {
    throw new ConfigError(
      `optimizer.type: expected adamw for ${ranks} ranks but received muon, which needs whole matrices`,
    );
  }
  const wrong = stages.find((stage) => shares(stage) % ranks !== 0);
  if (wrong === undefined) return;
  const { index, patchSize, sequencesPerStep, microBatch } = wrong;
  const most = stages.map(shares).reduce(greatestCommonDivisor);
  const inBatches = microBatch === "auto" ? "" : ` in micro-batches of ${microBatch}`;
  throw new ConfigError(
    `parallel.ranks: expected a number that divides the ${sequencesPerStep} sequences of a step of stages[${index}] ` +
      `(K = ${patchSize})${inBatches}, at most ${most} in all stages, but received ${ranks}; for more ranks, make the step larger ` +
      "(batch.tokensPerStep) or its sequences shorter",
  );
}

/** The most ranks that can share a step. */
function shares({ sequencesPerStep, microBatch }: ResolvedStage): number {
  return sequencesPerStep / (microBatch === "auto" ? 1 : microBatch);
}

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));
