import { Arguments } from "./arguments.js";
import { Tokenizer } from "./data/tokenizer.js";
import { Decoder } from "./nn/decoder.js";
import { checkModel, type Llama } from "./nn/llama.js";
import { checkSampling, type SamplingSettings } from "./nn/sampling.js";

/** Options of `generate`. Defaults: temperature 0.8, topK 0, topP 1, seed 1. */
export interface GenerateOptions extends Partial<SamplingSettings> {
  /** The most tokens to add, at least 1. Default 128. */
  readonly maxTokens?: number;
  /** Called with the text that each new token completes. */
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
  /** Why it ended: the model ended the text, `maxTokens` was reached, or its context was full. */
  readonly finish: "end-of-text" | "max-tokens" | "context";
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
  const check = new Arguments("generate");
  checkModel(check, model);
  check.instance("tokenizer", tokenizer, Tokenizer);
  check.string("prompt", prompt);
  const { maxTokens = 128, onText, temperature = 0.8, topK = 0, topP = 1, seed = 1 } = check.object("options", options);
  check.wholeNumber("maxTokens", maxTokens, 1);
  const sampling = { temperature, topK, topP, seed };
  checkSampling(check, sampling);
  check.callback("onText", onText);
  const { vocab_size: vocabulary, max_position_embeddings: context } = model.config;
  if (tokenizer.vocabSize > vocabulary) {
    check.fail(RangeError, "tokenizer", `at most the model's ${vocabulary} tokens`, String(tokenizer.vocabSize));
  }
  const ends = model.ends.length > 0 ? model.ends : [tokenizer.endOfTextId];
  const encoded = await tokenizer.encode(prompt, { specialTokens: true });
  if (encoded.length > context - 1) {
    const expected = `at most ${context - 1} tokens, since the model's context of ${context} also holds a new one,`;
    check.fail(RangeError, "prompt", expected, String(encoded.length));
  }
  const ids = Int32Array.from(encoded.length > 0 ? encoded : [beginning(model, tokenizer)]);
  const limit = Math.min(maxTokens, context - ids.length);
  using decoder = new Decoder(model, ids.length + limit);
  const produced: number[] = [];
  let shown = 0;
  const show = (text: string) => {
    if (text.length > shown) onText?.(text.slice(shown));
    shown = text.length;
  };
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
    if (onText === undefined) continue;
    // A character may span tokens: a text that ends in a replacement character is still incomplete.
    const text = await tokenizer.decode(produced);
    if (!text.endsWith("\ufffd")) show(text);
  }
  const seconds = (performance.now() - start) / 1000;
  const text = await tokenizer.decode(produced);
  show(text);
  return {
    text,
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
