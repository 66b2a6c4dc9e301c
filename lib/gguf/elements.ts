/**
 * Element types of GGUF tensors.
 *
 * Q8_0 (ggml, `block_q8_0`): blocks of 32 elements of a row, each an fp16 scale and 32 int8; an element is their product.
 * The scale is the largest magnitude over 127.
 */
import { convertFloats, type FloatDtype, toFloats, toHalf } from "../hf/float_types.js";
import { type GgmlType, ggmlBlocks } from "./format.js";

/** The bytes of elements in another type. Rows of Q8_0 are whole blocks. */
export function convertElements(bytes: Uint8Array, from: FloatDtype, to: GgmlType): Uint8Array {
  return to === "Q8_0" ? quantize(toFloats(bytes, from)) : convertFloats(bytes, from, to);
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
