/** Weights that are NaN or infinite. A model on a device has them found by a kernel: lib/nn/finite.ts. */
import { CheckpointError } from "../errors.js";
import { type FloatDtype, toFloats } from "./float_types.js";
import type { TensorInfo } from "./safetensors.js";

/**
 * The error for a weight that is not finite.
 * @param index of the element in the tensor, row-major
 */
export function notFinite(where: string, name: string, shape: readonly number[], index: number, value: number) {
  const place: number[] = [];
  let rest = index;
  for (const size of shape.toReversed()) {
    place.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  const which = `${name}[${place.join(", ")}]`;
  return new CheckpointError(`${where}: ${which}: expected a finite weight but received ${value}`);
}

/**
 * Checks a part of a tensor on its way from one file to another, which needs no device.
 * @param where the folder, for the message
 * @param offset of the part's first byte in the tensor
 * @throws CheckpointError naming the first element that is not finite
 */
export function checkPart(where: string, name: string, info: TensorInfo, offset: number, bytes: Uint8Array): void {
  const { dtype, shape } = info;
  if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") return; // refused elsewhere
  const bits = dtype === "F32" ? wordsOf(bytes) : halvesOf(bytes);
  const at = firstWith(bits, exponents[dtype]);
  if (at === -1) return;
  const elementBytes = bits.BYTES_PER_ELEMENT;
  const element = bytes.slice(at * elementBytes, (at + 1) * elementBytes);
  throw notFinite(where, name, shape, offset / elementBytes + at, toFloats(element, dtype)[0]!);
}

/** The bits of the exponent, which are all set in NaN and infinity. */
const exponents: Readonly<Record<FloatDtype, number>> = { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 };

function firstWith(bits: Uint32Array | Uint16Array, exponent: number): number {
  for (let i = 0; i < bits.length; i++) if ((bits[i]! & exponent) === exponent) return i;
  return -1;
}

const wordsOf = ({ buffer, byteOffset, byteLength }: Uint8Array) => new Uint32Array(buffer, byteOffset, byteLength / 4);
const halvesOf = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  new Uint16Array(buffer, byteOffset, byteLength / 2);
