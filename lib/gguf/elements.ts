/**
 * Element types of GGUF tensors, and how one becomes another.
 *
 * Q8_0 (ggml, `block_q8_0`): blocks of 32 elements of a row, each an fp16 scale and 32 int8; an element is their product.
 * The scale is the largest magnitude over 127.
 */
import { float16ToFloat32 } from "../hf/dtypes.js";
import { type GgmlType, ggmlBlocks } from "./format.js";

/** The bits of the nearest half, ties to even. */
export function toHalf(value: number): number {
  scratch.float[0] = value;
  const bits = scratch.bits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // beyond the largest half, with its rounding
  if (magnitude < 0x38800000) {
    // A subnormal: whole multiples of 2^-24. Doubles hold it exactly.
    return sign | roundToEven(Math.abs(scratch.float[0]!) * 2 ** 24);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** The bits of the nearest bf16, ties to even. */
function toBfloat(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

const scratch = (() => {
  const float = new Float32Array(1);
  return { float, bits: new Uint32Array(float.buffer) };
})();

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** Elements as fp32. @param type any but a quantised one */
export function toFloats(bytes: Uint8Array, type: "F32" | "F16" | "BF16"): Float32Array {
  if (type === "F32") return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  return type === "F16"
    ? float16ToFloat32(halves)
    : new Float32Array(Uint32Array.from(halves, (bits) => bits << 16).buffer);
}

/** The bytes of a tensor in another type. Rows of Q8_0 are whole blocks. */
export function convertElements(bytes: Uint8Array, from: "F32" | "F16" | "BF16", to: GgmlType): Uint8Array {
  if (from === to) return bytes;
  const floats = toFloats(bytes, from);
  switch (to) {
    case "F32":
      return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
    case "F16":
      return new Uint8Array(Uint16Array.from(floats, toHalf).buffer);
    case "BF16": {
      const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
      return new Uint8Array(Uint16Array.from(bits, toBfloat).buffer);
    }
    case "Q8_0":
      return quantize(floats);
  }
}

function quantize(floats: Float32Array): Uint8Array {
  const { elements, bytes } = ggmlBlocks.Q8_0;
  const result = new Uint8Array((floats.length / elements) * bytes);
  const view = new DataView(result.buffer);
  for (let from = 0, at = 0; from < floats.length; from += elements, at += bytes) {
    let largest = 0;
    for (let i = 0; i < elements; i++) largest = Math.max(largest, Math.abs(floats[from + i]!));
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    view.setUint16(at, toHalf(scale), true);
    for (let i = 0; i < elements; i++) {
      const value = Math.fround(floats[from + i]! * inverse);
      view.setInt8(at + 2 + i, Math.sign(value) * Math.floor(Math.abs(value) + 0.5)); // as C's roundf
    }
  }
  return result;
}
