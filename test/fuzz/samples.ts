/** Valid files of JSON, which the fuzzers change. */
import { madeTokenizer } from "../support/made_tokenizer.js";
import type { Json } from "./mutations.js";

export const tokenizer = JSON.parse(madeTokenizer({ characters: ["a", "b", "Ġ"], merges: [["a", "b"]] })) as Json;

export const modelConfig: Json = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  vocab_size: 96,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  rope_scaling: {
    rope_type: "llama3",
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 32,
  },
  tie_word_embeddings: true,
};

export const runConfig: Json = {
  name: "made",
  model: { hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 2, vocab_size: 96 },
  data: { train: "train.bin", val: ["val.bin"] },
  stages: [{ patchSize: 4, fraction: 0.5, of: "steps", optimizer: { lr: 0.1 } }, { patchSize: 1 }],
  batch: { tokensPerStep: 256, sequenceLength: 16, microBatch: "auto" },
  train: { steps: 12 },
  optimizer: { type: "muon", lr: 3e-3, betas: [0.9, 0.95], muon: { lr: 0.02 } },
  schedule: { type: "wsd", warmupSteps: 2, decayFraction: 0.1 },
  eval: { everySteps: 4, sequences: 8 },
  checkpoint: { everySteps: 100, keep: 2 },
  guard: { loss: 5 },
};

export const metricsLine: Json = {
  step: 1,
  stage: 0,
  patchSize: 4,
  tokens: 256,
  positions: 64,
  loss: 4.5,
  lr: 1e-3,
  gradNorm: 1,
  seconds: 0.1,
  tokensPerSecond: 2560,
  flops: 1e6,
  mfu: null,
  valLoss: 4.4,
};
