import { dirname } from "node:path";
import type { RunConfig } from "../config/config.js";
import { checkRanks } from "../config/rank_checks.js";
import { type ResolvedStage, resolveStages } from "../config/stages.js";
import { checkData, checkTokenizer } from "../data/identity.js";
import { knownTokenizer } from "../data/known_tokenizer.js";
import type { Device } from "../device.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { stepFlops } from "../nn/flops.js";
import { alone, type RankShare } from "../nn/sharding.js";
import { type HeldOut, ownHeldOut } from "./held_out.js";
import { guardSpecs, planRun, type RunPlan } from "./memory_plan.js";
import type { RunData } from "./run_data.js";
import { describedTokenizer, findTokenizer, type RunTokenizer, readTokenizer } from "./run_tokenizer.js";
import { modelShape, readHeldOut } from "./setup.js";

/** What a config trains on a device. */
export interface PlannedRun {
  readonly stages: readonly ResolvedStage[];
  readonly tokenizer: RunTokenizer | null;
  readonly shape: LlamaConfig;
  readonly heldOut: HeldOut | null;
  /** Of activations and matrix products. */
  readonly dtype: "f32" | "bf16";
  readonly plan: RunPlan;
}

/**
 * Resolves a config's stages, model and held-out data, and plans their memory.
 * @param options.resume whether the run's own copy of the tokenizer counts
 * @throws ConfigError, DataError, CheckpointError
 */
export async function planConfig(
  config: RunConfig,
  device: Device,
  data: RunData,
  { resume = false, share = alone }: { resume?: boolean; share?: RankShare } = {},
): Promise<PlannedRun> {
  const { tokenizer, shape } = await modelOf(config, data, resume);
  const stages = resolverOf(data, shape)(config);
  checkRanks(config, share.size);
  const all = await readHeldOut(config, data.val, shape.vocab_size);
  const heldOut = all && ownHeldOut(all, share);
  const dtype = device.computeDType(config.precision);
  const { masked } = data;
  const plan = planRun(device, { config: shape, dtype, recompute: config.recompute, share, masked }, stages, heldOut);
  const guard = config.guard === undefined ? null : guardSpecs;
  return { stages, tokenizer, shape, heldOut, dtype, plan: { ...plan, guard } };
}

/** Resolves the stages of configs for a run's data and model. */
export function resolverOf({ trainingTokens }: RunData, shape: LlamaConfig) {
  return (config: RunConfig): readonly ResolvedStage[] =>
    resolveStages(config, trainingTokens, (step) => stepFlops(shape, step));
}

/** Tokens that are shuffled as one unit. */
export function shuffledTokens({ data }: RunConfig, stages: readonly ResolvedStage[]): number {
  return data.shuffleTokens ?? Math.max(...stages.map(({ patchSize, sequenceLength }) => patchSize * sequenceLength));
}

/**
 * The model's shape and its tokenizer, which is that of the data.
 * @throws ConfigError, DataError, CheckpointError
 */
export async function modelOf(
  config: RunConfig,
  { identity }: RunData,
  resume = false,
): Promise<{ tokenizer: RunTokenizer | null; shape: LlamaConfig }> {
  const path = findTokenizer(config, resume);
  const { given, endOfText } = identity;
  const ofData = path === null && given !== null ? await describedTokenizer(null, given) : null;
  const tokenizer = path === null ? ofData : await readTokenizer(path, endOfText);
  const shape = await modelShape(config, tokenizer);
  if (path !== null) checkTokenizer(identity, await knownTokenizer(dirname(path)));
  checkData(identity, shape.vocab_size);
  return { tokenizer, shape };
}
