import type { Arguments } from "../arguments.js";

/** How the next token is sampled. Logits change, and tokens are left out, in the order of transformers. */
export interface SamplingSettings {
  /**
   * What the logits of tokens that have occurred, in the prompt too, are divided by if positive, and multiplied by if
   * not, before all else, at temperature 0 too; 1: as they are.
   */
  readonly repetitionPenalty: number;
  /** What the logits are divided by; 0: always the likeliest token. */
  readonly temperature: number;
  /** Only this many of the likeliest tokens; 0: all. */
  readonly topK: number;
  /** Only the smallest set of the likeliest tokens whose probabilities reach this sum, from 0 to 1; 1: all. */
  readonly topP: number;
  /** Only tokens that are at least this many times, from 0 to 1, as probable as the likeliest; 0: all. */
  readonly minP: number;
  /** The same seed samples the same tokens; a whole number. */
  readonly seed: number;
}

/** Checks settings; errors name the operation that they were given to. @throws TypeError, RangeError */
export function checkSampling(check: Arguments, settings: SamplingSettings): void {
  const { repetitionPenalty, temperature, topK, topP, minP, seed } = settings;
  const within = (low: number, high: number) => (value: number) => value >= low && value <= high;
  check.number("repetitionPenalty", repetitionPenalty, "a number from 0.000001 to 1000000", within(1e-6, 1e6));
  check.number("temperature", temperature, "a number from 0 to 1000000", within(0, 1e6));
  check.number("topP", topP, "a number from 0 to 1", within(0, 1));
  check.number("minP", minP, "a number from 0 to 1", within(0, 1));
  check.wholeNumber("topK", topK, 0, 2 ** 31 - 1);
  check.wholeNumber("seed", seed, 0, Number.MAX_SAFE_INTEGER);
}
