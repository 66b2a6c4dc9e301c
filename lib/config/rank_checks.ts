/** Whether several ranks can share the steps of a run. */
import { ConfigError } from "../errors.js";
import type { RunConfig } from "./config.js";
import { greatestCommonDivisor } from "./divisors.js";
import { batchOf, tokensPerStep } from "./step_size.js";

/** How many ranks a config starts on this machine. */
export const startedRanks = ({ ranks, devices }: RunConfig["parallel"]): number => Math.max(ranks, devices.length);

/**
 * Every rank takes as many sequences of a step, in whole micro-batches.
 * @throws ConfigError naming the stage, and the most ranks that can
 */
export function checkRanks(config: RunConfig, ranks: number): void {
  if (ranks === 1) return;
  if (config.optimizer.type === "muon") {
    throw new ConfigError(
      `optimizer.type: expected adamw for ${ranks} ranks but received muon, which needs whole matrices`,
    );
  }
  if (config.optimizer.freeze !== undefined && config.optimizer.freeze.length > 0) {
    throw new ConfigError(`optimizer.freeze: expected none for ${ranks} ranks but received patterns`);
  }
  const stages = config.stages.map((stage, index) => {
    const { microBatch, sequenceLength, ...size } = batchOf(config.batch, stage);
    const { patchSize } = stage;
    const sequences = tokensPerStep(size, patchSize) / (patchSize * sequenceLength);
    return { index, patchSize, sequences, microBatch, shares: sequences / (microBatch === "auto" ? 1 : microBatch) };
  });
  const wrong = stages.find(({ shares }) => shares % ranks !== 0);
  if (wrong === undefined) return;
  const { index, patchSize, sequences, microBatch } = wrong;
  const most = stages.map(({ shares }) => shares).reduce(greatestCommonDivisor);
  const size = config.batch.tokensPerStep === undefined ? "positionsPerStep" : "tokensPerStep";
  const inBatches = microBatch === "auto" ? "" : ` in micro-batches of ${microBatch}`;
  throw new ConfigError(
    `parallel.ranks: expected a number that divides the ${sequences} sequences of a step of stages[${index}] ` +
      `(K = ${patchSize})${inBatches}, ${nearest(most, ranks)} in all stages, but received ${ranks}; for more ranks, make the ` +
      `step larger (batch.${size}) or its sequences shorter`,
  );
}

/** The largest number that works, and where that is another, the nearest below. */
function nearest(most: number, ranks: number): string {
  let below = Math.min(ranks, most);
  while (most % below !== 0) below--;
  return below === most ? `at most ${most}` : `such as ${below}, at most ${most}`;
}
