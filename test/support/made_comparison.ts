/** Small comparisons on synthetic tokens, for tests. */
import { join } from "node:path";
import type { Comparison } from "../../lib/compare/readings.js";
import type { RunResult } from "../../lib/compare/run_result.js";
import type { RunConfig } from "../../lib/config/config.js";
import type { BackendName } from "../../lib/native.js";
import { madeConfig, madeTokens, writeShard } from "./made_run.js";

/** Small enough for the simulated device, which is hundreds of times slower than a real one. */
export const tinyModel = {
  hidden_size: 32,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 1,
  num_key_value_heads: 1,
  vocab_size: 32,
  max_position_embeddings: 32,
};

export async function writeTinyData(folder: string): Promise<void> {
  const tokens = (count: number, seed?: number) => madeTokens(count, seed).map((token) => token % tinyModel.vocab_size);
  await writeShard(join(folder, "train.bin"), tokens(700));
  await writeShard(join(folder, "val.bin"), tokens(32, 99));
}

/**
 * Twelve steps of 64 tokens, two thirds of them in patches of four: eight steps, and four token by token.
 * @param changes keys that replace the config's
 */
export function tinyConfig(folder: string, device: BackendName, changes: Record<string, unknown> = {}): RunConfig {
  return madeConfig(folder, {
    name: "tiny",
    model: tinyModel,
    stages: [{ patchSize: 4, fraction: 0.6667 }, { patchSize: 1 }],
    batch: { tokensPerStep: 64, sequenceLength: 8 },
    train: { tokens: 12 * 64 },
    optimizer: { lr: 0.02 },
    schedule: { warmupSteps: 1 },
    eval: { everySteps: 2, sequences: 4 },
    device,
    ...changes,
  });
}

/** What must be the same bits whenever a comparison is made again: all but the times. */
export function computed({ baseline, patch, equalCost, valLossDelta, paired, ratio, equalLoss }: Comparison) {
  const run = ({ curve, tokens, flops, valLoss, runs }: RunResult) => ({
    tokens,
    flops,
    valLoss,
    curve: curve.map(({ seconds: _, ...point }) => point),
    runs: runs.map(({ seconds: _, ...each }) => each),
  });
  return {
    baseline: run(baseline),
    patch: run(patch),
    equalCost: equalCost && run(equalCost),
    valLossDelta,
    paired,
    ratio: ratio.flops,
    equalLoss: equalLoss?.flops,
  };
}
