/** The element types of parameters, and how one becomes another: rounded to the nearest, ties to even. */

/** An element type that parameters can have. */
export type FloatDtype = "F32" | "F16" | "BF16";

/** The bits of the nearest half, ties to even; beyond the largest half, infinity. */
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

const scratch = (() => {
  const float = new Float32Array(1);
  return { float, bits: new Uint32Array(float.buffer) };
})();

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** The bits of the bf16 nearest to an fp32 with these bits. */
function toBfloat(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // NaN
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The value of a half with these bits. */
function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The value of every half, made when it is first needed: looking one up is ten times as fast as computing it. */
let halves: Float32Array | null = null;

/** Decodes halves, which some checkpoints have and no device here computes in. */
export function float16ToFloat32(bits: Uint16Array): Float32Array {
  halves ??= Float32Array.from({ length: 2 ** 16 }, (_, index) => halfValue(index));
  const floats = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) floats[i] = halves[bits[i]!]!;
  return floats;
}

/** Elements as fp32. `bytes` begin at a multiple of their element's size, here and below. */
export function toFloats(bytes: Uint8Array, type: FloatDtype): Float32Array {
  if (type === "F32") return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const short = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  if (type === "F16") return float16ToFloat32(short);
  const bits = new Uint32Array(short.length);
  for (let i = 0; i < bits.length; i++) bits[i] = short[i]! << 16;
  return new Float32Array(bits.buffer);
}

/** The bytes of elements in another type; the same array if it is theirs. */
export function convertFloats(bytes: Uint8Array, from: FloatDtype, to: FloatDtype): Uint8Array {
  if (from === to) return bytes;
  const floats = toFloats(bytes, from);
  if (to === "F32") return new Uint8Array(floats.buffer);
  const short = new Uint16Array(floats.length);
  if (to === "F16") {
    for (let i = 0; i < short.length; i++) short[i] = toHalf(floats[i]!);
  } else {
    const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
    for (let i = 0; i < short.length; i++) short[i] = toBfloat(bits[i]!);
  }
  return new Uint8Array(short.buffer);
}
