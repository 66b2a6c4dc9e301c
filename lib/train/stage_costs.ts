import type { ResolvedStage } from "../config/stages.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { stepFlops } from "../nn/flops.js";

/** What a stage of a run comes to. */
export interface StageCost {
  /** K: tokens per patch. */
  readonly patchSize: number;
  readonly steps: number;
  /** Tokens of text. */
  readonly tokens: number;
  /** FLOPs of the model's forward and backward; see nn/flops.ts. */
  readonly flops: number;
}

/** The stages of a run of this model, in order. */
export function stageCosts(stages: readonly ResolvedStage[], shape: LlamaConfig): StageCost[] {
  return stages.map((stage) => {
    const { patchSize, steps, tokens } = stage;
    return { patchSize, steps, tokens, flops: steps * stepFlops(shape, stage) };
  });
}
