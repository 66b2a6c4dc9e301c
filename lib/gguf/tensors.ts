/**
 * A Llama's tensors with llama.cpp's names and layout. A row-major [rows, columns] of safetensors is what ggml calls
 * columns x rows, so a matrix is written as it is, except for the row order of the queries and keys.
 */

import { type CheckpointTensors, parameterDtype } from "../hf/checkpoint_tensors.js";
import { byteSize } from "../hf/dtypes.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { type Parameter, parameterTable } from "../hf/names.js";
import { ropeInverseFrequencies } from "../hf/rope.js";
import { tensorPieces } from "../hf/tensor_pieces.js";
import { convertElements } from "./elements.js";
import { type GgmlType, type GgufTensorInfo, ggmlBlocks } from "./format.js";

/** A tensor to write. */
export interface GgufTensor extends GgufTensorInfo {
  /** The elements, little-endian and row-major, in pieces. Called when the tensor is written. */
  readonly data: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

const outerNames: Readonly<Record<string, string>> = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  lm_head: "output",
};

const layerNames: Readonly<Record<string, string>> = {
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
  input_layernorm: "attn_norm",
  post_attention_layernorm: "ffn_norm",
};

/** llama.cpp's name of a parameter of `parameterTable`. */
export function ggufName(name: string): string {
  const [, layer, part] = /^(?:model\.layers\.(\d+)\.)?(.+)\.weight$/.exec(name)!;
  return layer === undefined ? `${outerNames[part!]}.weight` : `blk.${layer}.${layerNames[part!]}.weight`;
}

/**
 * All tensors of a model, matrices in one element type and norms in fp32.
 * @param type of the matrices; null: the checkpoint's own. A matrix whose rows are no whole blocks of it is F16, as
 *   llama.cpp makes it
 * @throws CheckpointError naming a tensor that is missing or wrong; from `data()` if the file cannot be read
 */
export function ggufTensors(
  config: LlamaConfig,
  tensors: CheckpointTensors,
  type: GgmlType | null = null,
): GgufTensor[] {
  const table = parameterTable(config).map((parameter) => ggufTensor(parameter, config, tensors, type));
  return config.rope_scaling?.rope_type === "llama3" ? [...table, ropeFactors(config)] : table;
}

function ggufTensor(
  parameter: Parameter,
  config: LlamaConfig,
  tensors: CheckpointTensors,
  wanted: GgmlType | null,
): GgufTensor {
  const { name, shape, kind } = parameter;
  const dtype = parameterDtype(tensors, parameter);
  const columns = shape.at(-1)!;
  const info = { name: ggufName(name), shape };
  // llama.cpp multiplies by norms in fp32 only.
  const type = kind === "vector" ? "F32" : (wanted ?? dtype);
  const fitting = columns % ggmlBlocks[type].elements === 0 ? type : "F16";
  const isRotated = /\.[qk]_proj\.weight$/.test(name);
  // Rows change places within a head.
  const unitRows = isRotated ? config.head_dim : 1;
  const unitBytes = byteSize(dtype, [unitRows, columns]);
  const data = async function* (): AsyncGenerator<Uint8Array> {
    for await (const { bytes } of tensorPieces(tensors, name, unitBytes)) {
      const rows = (bytes.byteLength / unitBytes) * unitRows;
      yield convertElements(isRotated ? interleaveRows(bytes, rows, config.head_dim) : bytes, dtype, fitting);
    }
  };
  return { ...info, type: fitting, data };
}

/**
 * Reorders the rows of a projection to queries or keys from Hugging Face's layout to llama.cpp's. The rotary embedding
 * rotates dimension i of a head with i + headDim / 2 in Hugging Face's, and 2 i with 2 i + 1 in llama.cpp's.
 */
export function interleaveRows(bytes: Uint8Array, rows: number, headDim: number): Uint8Array {
  const rowBytes = bytes.byteLength / rows;
  const result = new Uint8Array(bytes.byteLength);
  for (let row = 0; row < rows; row++) {
    const within = row % headDim;
    const from = row - within + (within >> 1) + (within & 1) * (headDim / 2);
    result.set(bytes.subarray(from * rowBytes, (from + 1) * rowBytes), row * rowBytes);
  }
  return result;
}

/** What llama.cpp divides each rotary frequency by, fp32 [head_dim / 2]. */
function ropeFactors(config: LlamaConfig): GgufTensor {
  const plain = ropeInverseFrequencies({ ...config, rope_scaling: null });
  const scaled = ropeInverseFrequencies(config);
  const factors = plain.map((frequency, pair) => frequency / scaled[pair]!);
  const data = () => [new Uint8Array(factors.buffer)];
  return { name: "rope_freqs.weight", type: "F32", shape: [factors.length], data };
}
