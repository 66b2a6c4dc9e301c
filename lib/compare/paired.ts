/** Differences of runs that are paired by seed: their mean, and how far it may be off. */
import { studentT } from "./student_t.js";

/** The mean of paired differences, with its 95 per cent interval by Student's t. */
export interface Paired {
  /** Pairs: seeds that both arms were run with. */
  readonly n: number;
  readonly mean: number;
  /** Standard error of the mean. */
  readonly se: number;
  /** Ends of the interval. */
  readonly low: number;
  readonly high: number;
}

/** The probability of the intervals. */
const confidence = 0.95;

/** Null for a single difference: it says nothing about how far it is off. A difference that is not finite gives NaN. */
export function pairedDifferences(differences: readonly number[]): Paired | null {
  const n = differences.length;
  if (n < 2) return null;
  const mean = differences.reduce((sum, value) => sum + value, 0) / n;
  const squares = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const se = Math.sqrt(squares / (n - 1) / n);
  const half = studentT(confidence, n - 1) * se;
  return { n, mean, se, low: mean - half, high: mean + half };
}

/** Whether the interval holds 0, so that the pairs show no difference. */
export function showsNone({ low, high }: Paired): boolean {
  return !(low > 0 || high < 0);
}
