/** The model section of a run config, as it is written. */
import type { LayerType, LlamaConfig } from "../hf/llama_config.js";
import type { Preset, PresetName } from "../hf/presets.js";

/** Keys of a Hugging Face `config.json` that have a meaning here and that a `LlamaConfig` does not keep as they are. */
interface OtherModelKeys {
  readonly hidden_act?: string;
  readonly hidden_activation?: string;
  readonly attention_dropout?: number;
  readonly partial_rotary_factor?: number;
  /** As transformers 5 writes `rope_theta` and `rope_scaling`. */
  readonly rope_parameters?: Readonly<Record<string, unknown>> | null;
  readonly rope_scaling?: LlamaConfig["rope_scaling"] | Readonly<Record<string, unknown>>;
  readonly sliding_window?: number | null;
  readonly use_sliding_window?: boolean;
  readonly sliding_window_pattern?: number;
  readonly max_window_layers?: number;
  readonly layer_types?: readonly LayerType[] | null;
  readonly no_rope_layer_interval?: number;
  readonly no_rope_layers?: readonly number[] | null;
  readonly use_bidirectional_attention?: boolean;
  readonly final_logit_softcapping?: null;
  readonly attn_logit_softcapping?: null;
}

/** Keys of a Hugging Face `config.json`; what is left out has the default of its `model_type`. */
export type ModelKeys = Omit<Partial<LlamaConfig>, keyof OtherModelKeys> & OtherModelKeys;

/** A model: the five keys of its shape, or a preset and the keys that differ from it. */
export type ModelInput = ModelKeys & (Preset | { readonly preset: PresetName });
