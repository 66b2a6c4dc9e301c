import type { Arguments } from "../arguments.js";
import type { Tokenizer } from "../data/tokenizer.js";
import { checkModel, checkTokenizerFits, type Llama } from "../nn/llama.js";
import { checkSampling, type SamplingSettings } from "../nn/sampling.js";

/** Options of `generate`. Defaults: temperature 0.8, topK 0, topP 1, minP 0, repetitionPenalty 1, seed 1. */
export interface GenerateOptions extends Partial<SamplingSettings> {
  /** The most tokens to add, at least 1. Default 128. */
  readonly maxTokens?: number;
  /** Texts that end it: the text ends before the first of them that appears. Default: none. */
  readonly stop?: readonly string[];
  /** Ends the work after the token that is being computed; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called with each piece of text, as `streamText` yields it. */
  readonly onText?: (text: string) => void;
}

/** How texts go on: options with their defaults. */
export interface Settings {
  readonly sampling: SamplingSettings;
  readonly maxTokens: number;
  readonly stop: readonly string[];
  readonly signal: AbortSignal | undefined;
}

/**
 * Checks a model, its tokenizer and options.
 * @param more keys of options that the caller checks
 * @throws TypeError, RangeError
 */
export function checkSettings(
  check: Arguments,
  model: Llama,
  tokenizer: Tokenizer,
  options: Omit<GenerateOptions, "onText">,
  more: readonly string[] = [],
): Settings {
  checkModel(check, model);
  checkTokenizerFits(check, model, tokenizer);
  const {
    maxTokens = 128,
    stop = [],
    repetitionPenalty = 1,
    temperature = 0.8,
    topK = 0,
    topP = 1,
    minP = 0,
    seed = 1,
    signal,
  } = check.options("options", options, [
    "maxTokens",
    "stop",
    "repetitionPenalty",
    "temperature",
    "topK",
    "topP",
    "minP",
    "seed",
    "signal",
    ...more,
  ]);
  check.wholeNumber("maxTokens", maxTokens, 1);
  for (const [index, text] of check.strings("stop", stop, 0).entries()) {
    if (text === "") check.fail(RangeError, `stop[${index}]`, "a text of at least one character", '""');
  }
  const sampling = { repetitionPenalty, temperature, topK, topP, minP, seed };
  checkSampling(check, sampling);
  check.signal("signal", signal);
  return { sampling, maxTokens, stop, signal };
}
