import type { DType } from "../../lib/native.js";

/** A function that rounds a number to what a dtype holds. */
export type Round = (x: number) => number;

export const exact: Round = (x) => x;

// Looking up a global costs a microsecond in a test's context: the inner loops use these.
const { cos, fround, imul, log, sqrt, PI } = Math;

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** The bits of `x` in bf16, rounded to nearest, ties to even; NaN stays NaN. */
export function bf16Bits(x: number): number {
  single[0] = x;
  const bits = word[0]!;
  if (Number.isNaN(x)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function fromBf16Bits(bits: number): number {
  word[0] = bits << 16;
  return single[0]!;
}

/** How a dtype rounds. */
export const rounding: Record<DType, Round> = {
  f32: fround,
  bf16: (x) => fromBf16Bits(bf16Bits(x)),
  i32: Math.trunc,
};

/** A stream of numbers in [0, 1), the same for the same seed (mulberry32). */
export function generator(seed: number): () => number {
  let state = (seed * 0x9e3779b9) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = imul(state ^ (state >>> 15), 1 | state);
    t = (t + imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const drawn = new Map<string, Float64Array>();

/** `count` normally distributed numbers times `scale`, already rounded to `dtype`. Not to be written to. */
export function normals(count: number, seed: number, dtype: DType = "f32", scale = 1): Float64Array {
  const key = `${count} ${seed} ${dtype} ${scale}`;
  let out = drawn.get(key);
  if (out) return out;
  const next = generator(seed);
  const round = rounding[dtype];
  out = new Float64Array(count);
  for (let i = 0; i < count; ++i) out[i] = round(scale * sqrt(-2 * log(1 - next())) * cos(2 * PI * next()));
  drawn.set(key, out);
  return out;
}

/** `count` whole numbers in [0, bound). */
export function integers(count: number, bound: number, seed: number): Int32Array {
  const next = generator(seed);
  return new Int32Array(count).map(() => next() * bound);
}
