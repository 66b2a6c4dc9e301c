import { Arguments } from "./arguments.js";
import type { Tokenizer } from "./data/tokenizer.js";
import { ShownText } from "./generate/shown_text.js";
import { Decoder } from "./nn/decoder.js";
import { checkModel, checkTokenizerFits, type Llama } from "./nn/llama.js";
import { checkSampling, type SamplingSettings } from "./nn/sampling.js";

/** Options of `generate`. Defaults: temperature 0.8, topK 0, topP 1, seed 1. */
export interface GenerateOptions extends Partial<SamplingSettings> {
  /** The most tokens to add, at least 1. Default 128. */
  readonly maxTokens?: number;
  /** Texts that end it: the text ends before the first of them that appears. Default: none. */
  readonly stop?: readonly string[];
  /** Called with each piece of text, as `streamText` yields it. */
  readonly onText?: (text: string) => void;
}

/** The result of `generate`. */
export interface Generation {
  /** The text after the prompt. */
  readonly text: string;
  /** Tokens of the prompt, with those that the tokenizer's post-processor puts around it. */
  readonly promptTokens: number;
  /** Tokens added, without the one that ended the text. */
  readonly newTokens: number;
  /** Why it ended: the model ended the text, a stop text appeared, `maxTokens` was reached, or the context was full. */
  readonly finish: "end-of-text" | "stop" | "max-tokens" | "context";
  /** New tokens per second, without the prompt's pass. */
  readonly tokensPerSecond: number;
}

/**
 * Continues a text. The prompt is what the tokenizer, with its post-processor, makes of it, as in transformers; a prompt
 * of no tokens becomes the model's beginning of a text. The text ends at any token of `model.ends`, or if there is none,
 * at the tokenizer's end-of-text token.
 * @throws TypeError or RangeError for a wrong argument, such as a prompt that fills the model's context or a tokenizer
 *   with more tokens than the model; DataError if the tokenizer has no end-of-text token; DeviceError, OutOfMemoryError
 */
export async function generate(
  model: Llama,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateOptions = {},
): Promise<Generation> {
  const { onText, ...settings } = check("generate", model, tokenizer, prompt, options);
  const watched = onText !== undefined || settings.stop.length > 0;
  const pieces = stream("generate", model, tokenizer, prompt, settings, watched);
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return value;
    onText?.(value);
  }
}

/**
 * As `generate`, but yields the text in pieces as it grows, each of whole characters, and returns the result. Leaving the
 * loop ends the work.
 *
 *     for await (const piece of streamText(model, tokenizer, "Once")) process.stdout.write(piece);
 *
 * @throws as `generate`, from the first piece on
 */
export async function* streamText(
  model: Llama,
  tokenizer: Tokenizer,
  prompt: string,
  options: Omit<GenerateOptions, "onText"> = {},
): AsyncGenerator<string, Generation> {
  const settings = check("streamText", model, tokenizer, prompt, options);
  return yield* stream("streamText", model, tokenizer, prompt, settings, true);
}

type Settings = Required<Omit<GenerateOptions, "onText">> & Pick<GenerateOptions, "onText">;

/** The options with their defaults. @throws TypeError, RangeError */
function check(
  operation: string,
  model: Llama,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateOptions,
): Settings {
  const check = new Arguments(operation);
  checkModel(check, model);
  checkTokenizerFits(check, model, tokenizer);
  check.string("prompt", prompt);
  const {
    maxTokens = 128,
    stop = [],
    onText,
    temperature = 0.8,
    topK = 0,
    topP = 1,
    seed = 1,
  } = check.object("options", options);
  check.wholeNumber("maxTokens", maxTokens, 1);
  for (const [index, text] of check.strings("stop", stop, 0).entries()) {
    if (text === "") check.fail(RangeError, `stop[${index}]`, "a text of at least one character", '""');
  }
  const sampling = { temperature, topK, topP, seed };
  checkSampling(check, sampling);
  check.callback("onText", onText);
  return { maxTokens, stop, ...sampling, ...(onText && { onText }) };
}

/** @param watched whether the text matters before its end: decoding it after every token takes time */
async function* stream(
  operation: string,
  model: Llama,
  tokenizer: Tokenizer,
  prompt: string,
  { maxTokens, stop, onText: _, ...sampling }: Settings,
  watched: boolean,
): AsyncGenerator<string, Generation> {
  const { max_position_embeddings: context } = model.config;
  const ends = model.ends.length > 0 ? model.ends : [tokenizer.endOfTextId];
  const encoded = await tokenizer.encode(prompt, { specialTokens: true });
  if (encoded.length > context - 1) {
    const expected = `at most ${context - 1} tokens, since the model's context of ${context} also holds a new one,`;
    new Arguments(operation).fail(RangeError, "prompt", expected, String(encoded.length));
  }
  const ids = Int32Array.from(encoded.length > 0 ? encoded : [beginning(model, tokenizer)]);
  const limit = Math.min(maxTokens, context - ids.length);
  using decoder = new Decoder(model, ids.length + limit);
  const produced: number[] = [];
  const shown = new ShownText(stop);
  let input = ids;
  let start = performance.now();
  let finish: Generation["finish"] = limit < maxTokens ? "context" : "max-tokens";
  while (produced.length < limit) {
    const next = await decoder.next(input, sampling);
    if (produced.length === 0) start = performance.now();
    if (ends.includes(next)) {
      finish = "end-of-text";
      break;
    }
    produced.push(next);
    input = Int32Array.of(next);
    if (!watched) continue;
    const piece = shown.grow(await tokenizer.decode(produced));
    if (piece !== "") yield piece;
    if (shown.stopped) {
      finish = "stop";
      break;
    }
  }
  const seconds = (performance.now() - start) / 1000;
  if (!watched) shown.grow(await tokenizer.decode(produced));
  const rest = shown.finish();
  if (rest !== "") yield rest;
  return {
    text: shown.text,
    promptTokens: ids.length,
    newTokens: produced.length,
    finish,
    tokensPerSecond: produced.length > 1 ? (produced.length - 1) / seconds : 0,
  };
}

/** The token that begins a text: that of a loaded model's config, else the one that separates documents. */
function beginning(model: Llama, tokenizer: Tokenizer): number {
  const { bos_token_id } = model.config;
  return model.ends.length > 0 && bos_token_id !== null ? bos_token_id : tokenizer.endOfTextId;
}
