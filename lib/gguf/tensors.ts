/**
 * A model's tensors with llama.cpp's names and layout. A row-major [rows, columns] of safetensors is what ggml calls
 * columns x rows, so a matrix is written as it is, except for the row order of the queries and keys.
 */

import { architectureOf, normWeightOffset } from "../hf/architectures.js";
import { type CheckpointTensors, parameterDtype } from "../hf/checkpoint_tensors.js";
import { byteSize } from "../hf/dtypes.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { type NormPlace, normNames, type Parameter, parameterTable } from "../hf/names.js";
import { ropeInverseFrequencies } from "../hf/rope.js";
import { tensorPieces } from "../hf/tensor_pieces.js";
import { ggufArchitectures } from "./architectures.js";
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
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
};

/** llama.cpp's names of a layer's norms. */
const normPlaces: Readonly<Record<NormPlace, string>> = {
  attention: "attn_norm",
  afterAttention: "post_attention_norm",
  mlp: "ffn_norm",
  afterMlp: "post_ffw_norm",
};

/** llama.cpp's name of a parameter of `parameterTable`. */
function ggufName(name: string, config: LlamaConfig): string {
  const [, layer, part, kind] = /^(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(name)!;
  if (layer === undefined) return `${outerNames[part!]}.${kind}`;
  const norms: Partial<Record<NormPlace, string>> = normNames[architectureOf(config).norms];
  const place = (Object.keys(norms) as NormPlace[]).find((at) => norms[at] === part);
  return `blk.${layer}.${place === undefined ? layerNames[part!] : normPlaces[place]}.${kind}`;
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
  return [...table, ...ropeTensors(config)];
}

function ggufTensor(
  parameter: Parameter,
  config: LlamaConfig,
  tensors: CheckpointTensors,
  wanted: GgmlType | null,
): GgufTensor {
  const { name, shape, kind } = parameter;
  const dtype = parameterDtype(tensors, parameter);
  const columns = kind === "vector" ? 1 : shape[1]!;
  const info = { name: ggufName(name, config), shape };
  // llama.cpp multiplies by norms in fp32 only.
  const type = kind === "vector" ? "F32" : (wanted ?? dtype);
  const fitting = kind === "vector" || columns % ggmlBlocks[type].elements === 0 ? type : "F16";
  const { interleaved } = ggufArchitectures[config.model_type];
  const isRotated = interleaved && /\.[qk]_proj\.(weight|bias)$/.test(name);
  // llama.cpp multiplies by the weights of norms as they are.
  const offset = name.endsWith("norm.weight") ? normWeightOffset(config) : 0;
  // Rows change places within a head.
  const unitRows = isRotated ? config.head_dim : 1;
  const unitBytes = byteSize(dtype, [unitRows, columns]);
  const data = async function* (): AsyncGenerator<Uint8Array> {
    for await (const { bytes } of tensorPieces(tensors, name, unitBytes)) {
      const rows = (bytes.byteLength / unitBytes) * unitRows;
      const elements = convertElements(
        isRotated ? interleaveRows(bytes, rows, config.head_dim) : bytes,
        dtype,
        fitting,
      );
      yield offset === 0 ? elements : added(elements, offset);
    }
  };
  return { ...info, type: fitting, data };
}

/** @param bytes of f32 elements */
function added(bytes: Uint8Array, offset: number): Uint8Array {
  const values = new Float32Array(bytes.slice().buffer).map((value) => value + offset);
  return new Uint8Array(values.buffer);
}

/**
 * Reorders the rows of a projection to queries or keys from Hugging Face's layout to llama.cpp's. The rotary embedding
 * rotates dimension i of a head with i + headDim / 2 in Hugging Face's, and 2 i with 2 i + 1 in llama.cpp's.
 */
function interleaveRows(bytes: Uint8Array, rows: number, headDim: number): Uint8Array {
  const rowBytes = bytes.byteLength / rows;
  const result = new Uint8Array(bytes.byteLength);
  for (let row = 0; row < rows; row++) {
    const within = row % headDim;
    const from = row - within + (within >> 1) + (within & 1) * (headDim / 2);
    result.set(bytes.subarray(from * rowBytes, (from + 1) * rowBytes), row * rowBytes);
  }
  return result;
}

/** What llama.cpp divides each rotary frequency by, fp32 [head_dim / 2]: for scalings that it has no keys for. */
function ropeTensors(config: LlamaConfig): GgufTensor[] {
  const { rope_scaling: scaling } = config;
  const tensor = (name: string, factors: Float32Array): GgufTensor => ({
    name: `${name}.weight`,
    type: "F32",
    shape: [factors.length],
    data: () => [new Uint8Array(factors.buffer)],
  });
  if (scaling?.rope_type === "longrope") {
    const { long_factor: long, short_factor: short } = scaling;
    return [
      tensor("rope_factors_long", Float32Array.from(long)),
      tensor("rope_factors_short", Float32Array.from(short)),
    ];
  }
  if (scaling?.rope_type !== "llama3") return [];
  const plain = ropeInverseFrequencies({ ...config, rope_scaling: null });
  const scaled = ropeInverseFrequencies(config);
  return [
    tensor(
      "rope_freqs",
      plain.map((frequency, pair) => frequency / scaled[pair]!),
    ),
  ];
}
