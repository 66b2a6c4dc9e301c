/** A model's shape as GGUF metadata, under the keys that llama.cpp reads for its architecture. */
import { basename } from "node:path";
import { architectureOf } from "../hf/architectures.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { ropeAttentionFactor } from "../hf/rope.js";
import { ggufArchitectures } from "./architectures.js";
import { f32, type GgmlType, type GgufMetadata, ggufAlignment, text, u32 } from "./format.js";

/** llama.cpp's numbers for the most common element type of a file's matrices (`llama_ftype`). */
const fileTypes: Readonly<Record<GgmlType, number>> = { F32: 0, F16: 1, Q8_0: 7, BF16: 32 };

/** General metadata of the file. @param file its path; the name without `.gguf` is the model's */
export function generalMetadata(file: string, type: GgmlType, config: LlamaConfig): GgufMetadata {
  return {
    "general.architecture": text(architectureOf(config).gguf),
    "general.type": text("model"),
    "general.name": text(basename(file, ".gguf")),
    "general.file_type": u32(fileTypes[type]),
    "general.alignment": u32(ggufAlignment),
  };
}

/** The shape, under the keys of the model's architecture. */
export function modelMetadata(config: LlamaConfig): GgufMetadata {
  const { hidden_size: hidden, num_attention_heads: heads, head_dim: headDim, sliding_window: window } = config;
  const { windows } = ggufArchitectures[config.model_type];
  const keys: GgufMetadata = {
    vocab_size: u32(config.vocab_size),
    // Where llama.cpp does not know windows, a longer text would give other results than here.
    context_length: u32(windows ? config.max_position_embeddings : contextWithin(config)),
    embedding_length: u32(hidden),
    block_count: u32(config.num_hidden_layers),
    feed_forward_length: u32(config.intermediate_size),
    "attention.head_count": u32(heads),
    "attention.head_count_kv": u32(config.num_key_value_heads),
    "attention.layer_norm_rms_epsilon": f32(config.rms_norm_eps),
    ...(windows && window !== undefined ? { "attention.sliding_window": u32(window) } : {}),
    // If they are left out, llama.cpp divides the width by the number of heads.
    ...(headDim * heads === hidden
      ? {}
      : { "attention.key_length": u32(headDim), "attention.value_length": u32(headDim) }),
    "rope.dimension_count": u32(headDim),
    "rope.freq_base": f32(config.rope_theta),
    ...ropeMetadata(config),
  };
  const prefix = architectureOf(config).gguf;
  return Object.fromEntries(Object.entries(keys).map(([key, value]) => [`${prefix}.${key}`, value]));
}

/** The context within which no window hides anything. */
function contextWithin({ max_position_embeddings: context, sliding_window: window }: LlamaConfig): number {
  return window === undefined ? context : Math.min(context, window);
}

/** Llama 3's scaling of the rotary frequencies is not here: it is written as a tensor (tensors.ts). */
function ropeMetadata(config: LlamaConfig): GgufMetadata {
  const { rope_scaling: scaling } = config;
  switch (scaling?.rope_type) {
    case "linear":
      return { "rope.scaling.type": text("linear"), "rope.scaling.factor": f32(scaling.factor) };
    case "yarn":
      return {
        "rope.scaling.type": text("yarn"),
        "rope.scaling.factor": f32(scaling.factor),
        "rope.scaling.original_context_length": u32(scaling.original_max_position_embeddings),
      };
    case "longrope":
      return {
        "rope.scaling.type": text("longrope"),
        "rope.scaling.original_context_length": u32(scaling.original_max_position_embeddings),
        "rope.scaling.attn_factor": f32(ropeAttentionFactor(config)),
      };
    default:
      return {}; // dynamic: beyond the context only
  }
}
