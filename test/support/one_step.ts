/** Single steps of a small model, on tokens that a formula makes. */
import { parseRunConfig } from "../../lib/config/config.js";
import { type ResolvedStage, resolveStages } from "../../lib/config/stages.js";
import type { LlamaConfig } from "../../lib/hf/llama_config.js";

const vocabulary = 131;
const model = {
  vocab_size: vocabulary,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 64,
};

/** A run of three steps. */
interface Steps {
  readonly patchSize: number;
  readonly tokens: number;
  /** Positions of a sequence. */
  readonly sequenceLength: number;
  readonly microBatch?: number;
}

/** The run's only stage, and its model. */
export function stepsOf({ patchSize, tokens, ...batch }: Steps): {
  readonly shape: LlamaConfig;
  readonly stages: readonly ResolvedStage[];
} {
  const config = parseRunConfig({
    name: "steps",
    model,
    data: { train: "none" },
    stages: [{ patchSize }],
    train: { steps: 3 },
    batch: { tokensPerStep: tokens, ...batch },
  });
  return { shape: config.model!, stages: resolveStages(config, tokens) };
}

/** The model. */
export const { shape: stepShape } = stepsOf({ patchSize: 1, tokens: 64, sequenceLength: 64 });

/** So many tokens of its vocabulary. */
export const stepTokens = (length: number): Int32Array =>
  Int32Array.from({ length }, (_, index) => (index * index + 7 * index) % vocabulary);
