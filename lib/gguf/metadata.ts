/** A Llama's shape as GGUF metadata, under the keys that llama.cpp reads for its architecture `llama`. */
import { basename } from "node:path";
import type { LlamaConfig } from "../hf/llama_config.js";
import { f32, type GgmlType, type GgufMetadata, ggufAlignment, text, u32 } from "./format.js";

/** llama.cpp's numbers for the most common element type of a file's matrices (`llama_ftype`). */
const fileTypes: Readonly<Record<GgmlType, number>> = { F32: 0, F16: 1, Q8_0: 7, BF16: 32 };

/** General metadata of the file. @param file its path; the name without `.gguf` is the model's */
export function generalMetadata(file: string, type: GgmlType): GgufMetadata {
  return {
    "general.architecture": text("llama"),
    "general.type": text("model"),
    "general.name": text(basename(file, ".gguf")),
    "general.file_type": u32(fileTypes[type]),
    "general.alignment": u32(ggufAlignment),
  };
}

/**
 * The shape. Llama 3's scaling of the rotary frequencies is not here: it is written as a tensor (tensors.ts), because
 * llama.cpp has no key for it.
 */
export function llamaMetadata(config: LlamaConfig): GgufMetadata {
  const { hidden_size: hidden, num_attention_heads: heads, head_dim: headDim, rope_scaling: scaling } = config;
  return {
    "llama.vocab_size": u32(config.vocab_size),
    "llama.context_length": u32(config.max_position_embeddings),
    "llama.embedding_length": u32(hidden),
    "llama.block_count": u32(config.num_hidden_layers),
    "llama.feed_forward_length": u32(config.intermediate_size),
    "llama.attention.head_count": u32(heads),
    "llama.attention.head_count_kv": u32(config.num_key_value_heads),
    "llama.attention.layer_norm_rms_epsilon": f32(config.rms_norm_eps),
    // If they are left out, llama.cpp divides the width by the number of heads.
    ...(headDim * heads === hidden
      ? {}
      : { "llama.attention.key_length": u32(headDim), "llama.attention.value_length": u32(headDim) }),
    "llama.rope.dimension_count": u32(headDim),
    "llama.rope.freq_base": f32(config.rope_theta),
    ...(scaling?.rope_type === "linear"
      ? { "llama.rope.scaling.type": text("linear"), "llama.rope.scaling.factor": f32(scaling.factor) }
      : {}),
  };
}
