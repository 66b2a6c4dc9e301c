/**
 * The architectures, each as data: what a model's layers are made of, by the `model_type` of its `config.json`, with the
 * defaults of transformers' config classes (5.17). CONTRIBUTING.md says how to add one.
 */
import type { LayerType, LlamaConfig, ModelType } from "./llama_config.js";

/** Where the norms of a layer stand: before attention and MLP, behind them, or both. */
export type NormPlacement = "before" | "behind" | "both";

/** What an architecture has its own defaults for. */
export type Defaults = Pick<
  LlamaConfig,
  | "vocab_size"
  | "hidden_size"
  | "intermediate_size"
  | "num_hidden_layers"
  | "num_attention_heads"
  | "rms_norm_eps"
  | "rope_theta"
  | "max_position_embeddings"
  | "tie_word_embeddings"
  | "bos_token_id"
  | "pad_token_id"
> & {
  /** Null: as many as `num_attention_heads`. */
  readonly num_key_value_heads: number | null;
  /** Null: `hidden_size / num_attention_heads`. */
  readonly head_dim: number | null;
  readonly eos_token_id: number | null;
};

/** How a config says which layers have a sliding window. */
export type WindowRule =
  | "never"
  /** All layers, unless `sliding_window` is null. */
  | "all"
  /** With `use_sliding_window`: those from `max_window_layers` on, or as `layer_types` says. */
  | "upper"
  /** With `use_sliding_window`: those without rotary embedding, or as `layer_types` says. */
  | "unrotated"
  /** All but every `sliding_window_pattern`-th, or as `layer_types` says. */
  | "pattern";

/** One architecture. */
export interface Architecture {
  /** transformers' class, for `architectures` of a config.json. */
  readonly className: string;
  /** llama.cpp's name of it. */
  readonly gguf: string;
  readonly defaults: Defaults;
  readonly norms: NormPlacement;
  /** Whether queries and keys are normed: each head for itself, or all heads of a position as one row. */
  readonly qkNorm: "head" | "heads" | null;
  /** Whether `attention_bias` and `mlp_bias` are keys of it; `qkv`: queries, keys and values always have a bias. */
  readonly biases: { readonly attention: boolean; readonly mlp: boolean; readonly qkv?: boolean };
  readonly activation: "silu" | "gelu_pytorch_tanh";
  readonly activationKey: "hidden_act" | "hidden_activation";
  /** Whether norms keep their weights as the distance from 1, and embeddings are multiplied by sqrt(hidden_size). */
  readonly gemma: boolean;
  readonly window: WindowRule;
}

const llama: Architecture = {
  className: "LlamaForCausalLM",
  gguf: "llama",
  defaults: {
    vocab_size: 32000,
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: null,
    head_dim: null,
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    max_position_embeddings: 2048,
    tie_word_embeddings: false,
    bos_token_id: 1,
    eos_token_id: 2,
    pad_token_id: null,
  },
  norms: "before",
  qkNorm: null,
  biases: { attention: true, mlp: true },
  activation: "silu",
  activationKey: "hidden_act",
  gemma: false,
  window: "never",
};

const mistral: Architecture = {
  ...llama,
  className: "MistralForCausalLM",
  defaults: {
    ...llama.defaults,
    intermediate_size: 14336,
    num_key_value_heads: 8,
    max_position_embeddings: 131072,
  },
  biases: { attention: false, mlp: false },
  window: "all",
};

const qwen2: Architecture = {
  ...llama,
  className: "Qwen2ForCausalLM",
  gguf: "qwen2",
  defaults: {
    ...llama.defaults,
    vocab_size: 151936,
    intermediate_size: 22016,
    num_key_value_heads: 32,
    max_position_embeddings: 32768,
    bos_token_id: null,
    eos_token_id: null,
  },
  biases: { attention: false, mlp: false, qkv: true },
  window: "upper",
};

const qwen3: Architecture = {
  ...qwen2,
  className: "Qwen3ForCausalLM",
  gguf: "qwen3",
  defaults: { ...qwen2.defaults, head_dim: 128 },
  qkNorm: "head",
  biases: { attention: true, mlp: false },
};

const smollm3: Architecture = {
  ...llama,
  className: "SmolLM3ForCausalLM",
  gguf: "smollm3",
  defaults: {
    ...llama.defaults,
    vocab_size: 128256,
    hidden_size: 2048,
    num_hidden_layers: 36,
    num_attention_heads: 16,
    num_key_value_heads: 4,
    rope_theta: 2000000,
    max_position_embeddings: 32768,
    tie_word_embeddings: true,
    bos_token_id: 128000,
    eos_token_id: 128001,
    pad_token_id: 128004,
  },
  window: "unrotated",
};

const olmo2: Architecture = {
  ...llama,
  className: "Olmo2ForCausalLM",
  gguf: "olmo2",
  defaults: {
    ...llama.defaults,
    vocab_size: 50304,
    rms_norm_eps: 1e-5,
    bos_token_id: null,
    eos_token_id: 50279,
    pad_token_id: 1,
  },
  norms: "behind",
  qkNorm: "heads",
  biases: { attention: true, mlp: false },
};

const gemma3Text: Architecture = {
  ...llama,
  className: "Gemma3ForCausalLM",
  gguf: "gemma3",
  defaults: {
    vocab_size: 262208,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 26,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    rms_norm_eps: 1e-6,
    rope_theta: 1000000,
    max_position_embeddings: 131072,
    tie_word_embeddings: true,
    bos_token_id: 2,
    eos_token_id: 1,
    pad_token_id: 0,
  },
  norms: "both",
  qkNorm: "head",
  biases: { attention: true, mlp: false },
  activation: "gelu_pytorch_tanh",
  activationKey: "hidden_activation",
  gemma: true,
  window: "pattern",
};

/** The architectures by `model_type`. */
export const architectures: Readonly<Record<ModelType, Architecture>> = {
  llama,
  mistral,
  qwen2,
  qwen3,
  smollm3,
  olmo2,
  gemma3_text: gemma3Text,
};

/** The supported values of `model_type`. */
export const modelTypes = Object.keys(architectures) as ModelType[];

/** The architecture of a config. */
export function architectureOf(config: Pick<LlamaConfig, "model_type">): Architecture {
  return architectures[config.model_type];
}

/** What one layer does otherwise than its neighbours. */
export interface LayerShape {
  /** Positions that a query sees, itself included; 0: all before it. */
  readonly window: number;
  /** Which rotary table turns queries and keys; null: they are not turned. */
  readonly rotary: "global" | "local" | null;
}

/** The layers of a model, first to last. */
export function layerShapes(config: LlamaConfig): LayerShape[] {
  const { layer_types: types, sliding_window: window, no_rope_layers: turned, rope_local_base_freq: local } = config;
  return Array.from({ length: config.num_hidden_layers }, (_, index) => {
    const slides = isSliding(types?.[index]);
    const table = slides && local !== undefined ? "local" : "global";
    return { window: slides ? (window ?? 0) : 0, rotary: turned?.[index] === 0 ? null : table };
  });
}

function isSliding(type: LayerType | undefined): boolean {
  return type === "sliding_attention";
}

/** Which linear layers of a model have a bias. */
export function biasesOf(config: LlamaConfig): {
  readonly qkv: boolean;
  readonly output: boolean;
  readonly mlp: boolean;
} {
  const { biases } = architectureOf(config);
  const { attention_bias: attention = false, mlp_bias: mlp = false } = config;
  return { qkv: attention || (biases.qkv ?? false), output: attention, mlp };
}

/** What is added to the weights of a model's norms. */
export function normWeightOffset(config: LlamaConfig): 0 | 1 {
  return architectureOf(config).gemma ? 1 : 0;
}

/** What embeddings are multiplied by. transformers rounds it to the dtype of the weights. */
export function embeddingScale(config: LlamaConfig): number {
  return architectureOf(config).gemma ? Math.sqrt(config.hidden_size) : 1;
}

/** What scores of attention are multiplied by. */
export function attentionScale(config: LlamaConfig): number {
  return 1 / Math.sqrt(config.query_pre_attn_scalar ?? config.head_dim);
}
