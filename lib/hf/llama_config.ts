/** The shape of a Llama-style model, with the keys of Hugging Face's `config.json`. */

/** The supported architectures, as a `config.json` names them. */
export type ModelType = "llama" | "mistral" | "qwen2" | "qwen3" | "smollm3" | "olmo2" | "gemma3_text";

/** Whether a layer's positions see all before them, or a window. */
export type LayerType = "full_attention" | "sliding_attention";

/** A complete Llama configuration: every default filled in. Keys are Hugging Face's. */
export interface LlamaConfig {
  readonly model_type: ModelType;
  readonly vocab_size: number;
  readonly hidden_size: number;
  /** Width of the MLP. */
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  /** Heads of keys and values; fewer than `num_attention_heads` is grouped-query attention. */
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly rms_norm_eps: number;
  readonly rope_theta: number;
  /** How the rotary frequencies are stretched for a longer context; null: not at all. */
  readonly rope_scaling: RopeScaling | null;
  readonly max_position_embeddings: number;
  /** Whether the head shares the embedding's matrix. */
  readonly tie_word_embeddings: boolean;
  /** Standard deviation of the normal distribution that matrices are initialised from. */
  readonly initializer_range: number;
  readonly bos_token_id: number | null;
  readonly eos_token_id: number | readonly number[] | null;
  readonly pad_token_id: number | null;
  /** Whether the linear layers of attention have biases. In `llama`, `qwen3`, `smollm3`, `olmo2`, `gemma3_text`. */
  readonly attention_bias?: boolean;
  /** Whether those of the MLP have. In `llama` and `smollm3`. */
  readonly mlp_bias?: boolean;
  /** Positions that a position of a sliding layer sees, itself included. Left out if no layer slides. */
  readonly sliding_window?: number;
  /** One for each layer. Left out if no layer slides. */
  readonly layer_types?: readonly LayerType[];
  /** 0 for each layer whose queries and keys are not turned, else 1. In `smollm3`. */
  readonly no_rope_layers?: readonly number[];
  /** `rope_theta` of sliding layers, which is not scaled. In `gemma3_text`. */
  readonly rope_local_base_freq?: number;
  /** Scores are divided by its square root, instead of `head_dim`'s. In `gemma3_text`. */
  readonly query_pre_attn_scalar?: number;
}

/** All frequencies divided by `factor`. */
export interface LinearRopeScaling {
  readonly rope_type: "linear";
  readonly factor: number;
}

/** Llama 3.1's: low frequencies divided by `factor`, high ones kept, those between interpolated. */
export interface Llama3RopeScaling {
  readonly rope_type: "llama3";
  readonly factor: number;
  /** Wavelengths above `original_max_position_embeddings / low_freq_factor` positions are stretched whole. */
  readonly low_freq_factor: number;
  /** Wavelengths below `original_max_position_embeddings / high_freq_factor` positions are kept. */
  readonly high_freq_factor: number;
  readonly original_max_position_embeddings: number;
}

/** NTK-aware: the base grows with a sequence longer than the context; no longer one is read here. */
export interface DynamicRopeScaling {
  readonly rope_type: "dynamic";
  readonly factor: number;
}

/** YaRN (arXiv 2309.00071): frequencies of few turns divided by `factor`, those of many kept, a ramp between. */
export interface YarnRopeScaling {
  readonly rope_type: "yarn";
  readonly factor: number;
  readonly original_max_position_embeddings: number;
  /** What cosines and sines are multiplied by; left out: 0.1 ln(factor) + 1, or as the two scales say. */
  readonly attention_factor?: number;
  readonly mscale?: number;
  readonly mscale_all_dim?: number;
  /** Turns within the original context from which a frequency is kept. */
  readonly beta_fast: number;
  /** Turns within it below which a frequency is divided. */
  readonly beta_slow: number;
  /** Whether the ends of the ramp are whole dimensions. */
  readonly truncate: boolean;
}

/** LongRoPE (arXiv 2402.13753): a divisor for each frequency, of its own for sequences beyond the original context. */
export interface LongRopeScaling {
  readonly rope_type: "longrope";
  readonly short_factor: readonly number[];
  readonly long_factor: readonly number[];
  readonly original_max_position_embeddings: number;
  /** Default: `max_position_embeddings / original_max_position_embeddings`. */
  readonly factor?: number;
  /** What cosines and sines are multiplied by; left out: sqrt(1 + ln(factor) / ln(original)). */
  readonly attention_factor?: number;
}

/** How the rotary frequencies are stretched for a longer context. */
export type RopeScaling =
  | LinearRopeScaling
  | Llama3RopeScaling
  | DynamicRopeScaling
  | YarnRopeScaling
  | LongRopeScaling;
