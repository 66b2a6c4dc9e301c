/** The model section of a run config, as it is written. */
import type { LayerType, LlamaConfig } from "../hf/llama_config.js";
import type { Preset, PresetName } from "../hf/presets.js";

/** Keys that a `config.json` may have as null, or in forms that a `LlamaConfig` does not keep. */
type Loose = "rope_scaling" | "sliding_window" | "layer_types" | "no_rope_layers";

/** The keys of a Hugging Face `config.json` that have a meaning here; what is left out has its `model_type`'s default. */
export interface ModelKeys extends Omit<Partial<LlamaConfig>, Loose> {
  readonly hidden_act?: string;
  readonly hidden_activation?: string;
  readonly attention_dropout?: number;
  readonly partial_rotary_factor?: number;
  /** How the rotary frequencies are stretched for a longer context; null: not at all. */
  readonly rope_scaling?: LlamaConfig["rope_scaling"] | Readonly<Record<string, unknown>>;
  /** `rope_theta` and `rope_scaling` as transformers 5 writes them. */
  readonly rope_parameters?: Readonly<Record<string, unknown>> | null;
  /** Positions that a position of a sliding layer sees, itself included. */
  readonly sliding_window?: number | null;
  readonly use_sliding_window?: boolean;
  readonly sliding_window_pattern?: number;
  readonly max_window_layers?: number;
  /** One for each layer. */
  readonly layer_types?: readonly LayerType[] | null;
  readonly no_rope_layer_interval?: number;
  /** 0 for each layer whose queries and keys are not turned, else 1. */
  readonly no_rope_layers?: readonly number[] | null;
  readonly use_bidirectional_attention?: boolean;
  readonly final_logit_softcapping?: null;
  readonly attn_logit_softcapping?: null;
}

/** A model: the five keys of its shape, or a preset and the keys that differ from it. */
export type ModelInput = ModelKeys & (Preset | { readonly preset: PresetName });
