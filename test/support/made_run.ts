/** Small runs on synthetic tokens, for tests: a second or less each. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseRunConfig, type RunConfig } from "../../lib/config/config.js";
import { ShardWriter } from "../../lib/data/shard.js";
import type { MetricsLine } from "../../lib/report/metrics.js";
import { Trainer } from "../../lib/train/trainer.js";
import type { TrainerOptions } from "../../lib/train/trainer_options.js";

export const madeVocabulary = 96;

/** Head dimension 32, grouped queries. */
export const madeModel = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  vocab_size: madeVocabulary,
  max_position_embeddings: 64,
};

/** Tokens with something to learn: each is mostly decided by the one before it. */
export function madeTokens(count: number, seed = 1): number[] {
  let state = seed;
  let token = 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    token = state % 5 === 0 ? (state >>> 8) % madeVocabulary : (token * 7 + 3) % madeVocabulary;
    return token;
  });
}

export async function writeShard(path: string, tokens: ArrayLike<number>): Promise<void> {
  const writer = await ShardWriter.create(path, 2);
  await writer.write(tokens);
  await writer.finish();
}

/** Writes `train.bin` and `val.bin` into a folder. */
export async function writeMadeData(folder: string): Promise<void> {
  await writeShard(join(folder, "train.bin"), madeTokens(6000));
  await writeShard(join(folder, "val.bin"), madeTokens(16 * 8, 99));
}

/**
 * Two stages of six steps, K = 4 and K = 1, of 256 tokens each; head dimension 32, grouped queries.
 * @param changes keys that replace the config's
 */
export function madeConfig(folder: string, changes: Record<string, unknown> = {}): RunConfig {
  return parseRunConfig(
    {
      name: "made",
      model: madeModel,
      data: { train: join(folder, "train.bin"), val: join(folder, "val.bin") },
      stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }],
      batch: { tokensPerStep: 256, sequenceLength: 16 },
      train: { steps: 12 },
      optimizer: { lr: 3e-3 },
      schedule: { warmupSteps: 2 },
      eval: { everySteps: 4, sequences: 8 },
      checkpoint: { everySteps: 100, keep: 2 },
      device: "cpu",
      precision: "fp32",
      out: join(folder, "run"),
      ...changes,
    },
    "made",
  );
}

/**
 * Runs a config, to the end or up to a step, as the loop of a command does that is interrupted.
 * @returns the metrics lines that it gave
 */
export async function runTo(
  config: RunConfig,
  { until, ...options }: TrainerOptions & { until?: number } = {},
): Promise<MetricsLine[]> {
  const trainer = await Trainer.open(config, options);
  const lines: MetricsLine[] = [];
  try {
    for await (const line of trainer.run()) {
      lines.push(line);
      if (line.step === until) break;
    }
  } finally {
    await trainer.close();
  }
  return lines;
}

/** What must be the same bits in two runs of a config: all but the times and what follows from them, and the memory. */
export function computed(lines: readonly MetricsLine[]) {
  return lines.map(({ seconds: _s, tokensPerSecond: _rate, mfu: _mfu, time: _time, memory: _m, ...rest }) => rest);
}

/**
 * Writes data, and `config.json` of the made run as a user would write it, into a folder in which a command runs.
 * @param changes keys that replace the config's
 */
export async function writeMadeConfig(folder: string, changes: Record<string, unknown> = {}): Promise<void> {
  await writeMadeData(folder);
  const { model, data: _data, out: _out, ...config } = madeConfig(".", changes);
  const shape = Object.fromEntries(Object.entries(model!).filter(([key]) => /size|num_|max_/.test(key)));
  const data = { train: "train.bin", val: "val.bin" };
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, init: { seed: 1 }, model: shape, data }));
}
