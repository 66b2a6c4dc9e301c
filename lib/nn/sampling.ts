import type { Arguments } from "../arguments.js";

/** How the next token is sampled. */
export interface SamplingSettings {
  /** What the logits are divided by; 0: always the likeliest token. */
  readonly temperature: number;
  /** Only this many of the likeliest tokens; 0: all. */
  readonly topK: number;
  /** Only the smallest set of the likeliest tokens whose probabilities reach this sum, from 0 to 1; 1: all. */
  readonly topP: number;
  /** The same seed samples the same tokens; a whole number. */
  readonly seed: number;
}

/** Checks settings; errors name the operation that they were given to. @throws TypeError, RangeError */
export function checkSampling(check: Arguments, { temperature, topK, topP, seed }: SamplingSettings): void {
  const within = (low: number, high: number) => (value: number) => value >= low && value <= high;
  check.number("temperature", temperature, "a number from 0 to 1000000", within(0, 1e6));
  check.number("topP", topP, "a number from 0 to 1", within(0, 1));
  check.wholeNumber("topK", topK, 0, 2 ** 31 - 1);
  check.wholeNumber("seed", seed, 0, Number.MAX_SAFE_INTEGER);
}
