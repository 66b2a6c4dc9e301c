/** The shape of a Llama model, with the keys of Hugging Face's `config.json`. */

/** A complete Llama configuration: every default filled in. Keys are Hugging Face's. */
export interface LlamaConfig {
  readonly vocab_size: number;
  readonly hidden_size: number;
  /** Width of the SwiGLU. */
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

/** How the rotary frequencies are stretched for a longer context. */
export type RopeScaling = LinearRopeScaling | Llama3RopeScaling;
