/** What llama.cpp does with each architecture: its layout of heads, and what of a config its code does not compute. */
import { ConfigError } from "../errors.js";
import type { LlamaConfig, ModelType } from "../hf/llama_config.js";

/** How llama.cpp computes an architecture. */
interface GgufArchitecture {
  /** Whether it turns dimension 2 i of a head with 2 i + 1; else with i + head_dim / 2, as Hugging Face does. */
  readonly interleaved: boolean;
  /** The linear layers whose biases it adds. */
  readonly biases: readonly ("attention" | "mlp")[];
  /** Whether its layers have windows; else a window limits the context. */
  readonly windows: boolean;
  /** What of a config it computes otherwise; empty: nothing. */
  readonly unlike?: (config: LlamaConfig) => readonly string[];
}

const plain: GgufArchitecture = { interleaved: false, biases: [], windows: false };

export const ggufArchitectures: Readonly<Record<ModelType, GgufArchitecture>> = {
  llama: { interleaved: true, biases: ["attention", "mlp"], windows: false },
  mistral: { interleaved: true, biases: [], windows: false },
  qwen2: plain,
  qwen3: plain,
  smollm3: { interleaved: true, biases: [], windows: false, unlike: unlikeSmolLm3 },
  olmo2: plain,
  gemma3_text: { interleaved: false, biases: [], windows: true, unlike: unlikeGemma3 },
};

function unlikeSmolLm3({ no_rope_layers: turned }: LlamaConfig): readonly string[] {
  const fits = turned?.every((flag, index) => flag === ((index + 1) % 4 === 0 ? 0 : 1)) ?? false;
  return fits ? [] : ["no_rope_layers: every fourth"];
}

function unlikeGemma3(config: LlamaConfig): readonly string[] {
  const { layer_types: types = [], rope_local_base_freq: local, query_pre_attn_scalar: scalar, head_dim } = config;
  const slides = (index: number) => (index + 1) % 6 !== 0;
  const fits = types.every((type, index) => (type === "sliding_attention") === slides(index));
  return [
    ...(fits ? [] : ["layer_types: sliding_attention in all but every sixth layer"]),
    ...(local === 10000 ? [] : [`rope_local_base_freq: 10000 (here ${local})`]),
    ...(scalar === head_dim ? [] : [`query_pre_attn_scalar: head_dim, ${head_dim} (here ${scalar})`]),
  ];
}

/** @throws ConfigError naming what llama.cpp would compute otherwise */
export function checkGgufModel(config: LlamaConfig, folder: string): void {
  const { biases, unlike } = ggufArchitectures[config.model_type];
  const { attention_bias = false, mlp_bias = false, rope_scaling: scaling } = config;
  const problems = [...(unlike?.(config) ?? [])];
  if (attention_bias && !biases.includes("attention")) problems.push("attention_bias: false");
  if (mlp_bias && !biases.includes("mlp")) problems.push("mlp_bias: false");
  if (scaling?.rope_type === "yarn") {
    const { beta_fast, beta_slow, truncate, attention_factor, mscale } = scaling;
    const usual =
      beta_fast === 32 && beta_slow === 1 && truncate && attention_factor === undefined && mscale === undefined;
    if (!usual)
      problems.push("rope_scaling: yarn with the paper's settings (beta_fast 32, beta_slow 1, no factors of its own)");
  }
  if (problems.length === 0) return;
  throw new ConfigError(
    `${folder}: expected what llama.cpp computes for ${config.model_type}, ${problems.join("; ")}, but received another model`,
  );
}
