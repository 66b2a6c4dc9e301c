import type { RunConfig } from "../config/config.js";
import { type ResolvedStage, resolveStages } from "../config/stages.js";
import type { Device } from "../device.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import type { HeldOut } from "./held_out.js";
import { planRun, type RunPlan } from "./memory_plan.js";
import { modelShape, type RunTokenizer, readHeldOut, readTokenizer } from "./setup.js";

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
 * @param trainingTokens tokens in the training shards
 * @throws ConfigError, DataError, CheckpointError
 */
export async function planConfig(config: RunConfig, device: Device, trainingTokens: number): Promise<PlannedRun> {
  const stages = resolveStages(config, trainingTokens);
  const tokenizer = await readTokenizer(config);
  const shape = await modelShape(config, tokenizer);
  const heldOut = await readHeldOut(config, shape.vocab_size);
  const dtype = device.computeDType(config.precision);
  const plan = planRun(device, { config: shape, dtype, recompute: config.recompute }, stages, heldOut);
  return { stages, tokenizer, shape, heldOut, dtype, plan };
}
