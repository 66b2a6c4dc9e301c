/** How far two correct results may lie apart: rounding, counted in units of each dtype, and nothing else. */
import type { ArrayOf, DType } from "../native.js";

/** Half the distance from 1 to the next number: the most that one rounding changes a value, relatively. */
const unit = { f32: 2 ** -24, bf16: 2 ** -8 };

/** A bf16 result below the smallest normal number may be 0 (native/kernels.h). */
const smallestNormal = 2 ** -126;

/** How a result comes about, as far as its rounding goes. */
export interface Rounding {
  /** f32 roundings, in units of the result's size, that a sum of its length may add up to. */
  readonly f32: number;
  /** Whether the terms of the sum have a factor that a kernel for bf16 rounds to bf16, such as a probability. */
  readonly factors: boolean;
}

/** What a result may differ by: nothing, or what its rounding explains. */
export type Tolerance = "equal" | Rounding;

/**
 * A sum of so many terms. Their signs are random, so the terms together are sqrt(terms) times as large as the sum, and
 * an f32 sum in any order is off by a few units of that. 16 leaves room for a GPU's exponential and for its tensor
 * cores, which truncate.
 */
export function sumOf(terms: number, options: { factors?: boolean } = {}): Rounding {
  return { f32: 16 * Math.sqrt(terms), factors: options.factors ?? false };
}

/** A result of one term, such as a product or an activation. */
export const rounded = sumOf(1);

/** How a result compares with the expected one. */
export interface Comparison {
  /** The largest difference, as a share of the allowed one: above 1, the results differ. */
  readonly share: number;
  /** Where that is and what is there; for people. */
  readonly text: string;
}

/**
 * Compares two tensors of this dtype and shape, `got` with `expected`.
 *
 * - An element may be one unit in the last place off, since two correct sums can lie on both sides of where rounding
 *   turns, plus the f32 roundings of its sum, plus six standard deviations of what rounded factors do to it.
 * - In bf16 this alone would accept truncation in place of rounding, so the root mean square of all differences has a
 *   limit as well: few elements lie so close to a turning point.
 */
export function compare<D extends DType>(
  got: ArrayOf[D],
  expected: ArrayOf[D],
  dtype: D,
  shape: readonly number[],
  tolerance: Tolerance,
): Comparison {
  const [a, b] = [numbers(got, dtype), numbers(expected, dtype)];
  const show = (at: number, allowed: string) =>
    `${position(at, shape)} is ${round(a[at]!)}, on cpu ${round(b[at]!)}; expected ${allowed}`;
  if (tolerance === "equal" || dtype === "i32") {
    const at = a.findIndex((x, i) => !Object.is(x, b[i]));
    return at === -1 ? { share: 0, text: "" } : { share: Infinity, text: show(at, "the same") };
  }
  const { is } = Object;
  const { abs } = Math;
  const { f32, bf16 } = unit;
  const own = unit[dtype as "f32" | "bf16"];
  const factors = tolerance.factors && dtype === "bf16";
  const cols = shape.at(-1)!;
  const all = rootMeanSquare(b, 0, b.length);
  let worst: Comparison = { share: 0, text: "" };
  let squares = 0;
  for (let start = 0; start < b.length; start += cols) {
    const row = rootMeanSquare(b, start, start + cols);
    const size = tolerance.f32 * f32 * Math.max(row, all) + (factors ? 6 * bf16 * row : 0) + smallestNormal;
    for (let at = start; at < start + cols; at++) {
      if (is(a[at], b[at])) continue;
      const difference = abs(a[at]! - b[at]!);
      squares += difference ** 2;
      const allowed = (2 * own + 16 * f32) * Math.abs(b[at]!) + size;
      const share = Number.isNaN(difference) ? Infinity : difference / allowed;
      if (share > worst.share) worst = { share, text: show(at, `at most ${round(allowed)} apart`) };
    }
  }
  if (dtype === "f32") return worst;
  const limit = ((factors ? 1.5 : 0.25) * bf16 + tolerance.f32 * f32) * all;
  const apart = Math.sqrt(squares / b.length);
  const share = apart / (limit + smallestNormal);
  const text = `all elements are ${round(apart)} off (root mean square); expected at most ${round(limit)}`;
  return share > Math.max(1, worst.share) ? { share, text } : worst;
}

/** The values; bf16 as the numbers that its bits stand for. */
function numbers(data: ArrayOf[DType], dtype: DType): Float32Array | Int32Array {
  if (dtype !== "bf16") return data as Float32Array | Int32Array;
  const words = new Uint32Array(data.length);
  for (let i = 0; i < words.length; i++) words[i] = data[i]! << 16;
  return new Float32Array(words.buffer);
}

/** Of the finite elements from `start` to `end`. */
function rootMeanSquare(data: ArrayLike<number>, start: number, end: number): number {
  const finite = Number.isFinite;
  let squares = 0;
  for (let at = start; at < end; at++) if (finite(data[at]!)) squares += data[at]! ** 2;
  return Math.sqrt(squares / (end - start));
}

/** `[0, 3, 17]` */
function position(at: number, shape: readonly number[]): string {
  const indices: number[] = [];
  let rest = at;
  for (const size of shape.toReversed()) {
    indices.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return `[${indices.join(", ")}]`;
}

function round(x: number): string {
  return Number.isInteger(x) ? String(x) : x.toPrecision(4);
}
