import { Arguments } from "./arguments.js";
import type { Tokenizer } from "./data/tokenizer.js";
import { Continuation, type Generation } from "./generate/continuation.js";
import { checkSettings, type GenerateOptions, type Settings } from "./generate/settings.js";
import { Decoder } from "./nn/decoder.js";
import type { Llama } from "./nn/llama.js";

/**
 * Continues a text. The prompt is what the tokenizer, with its post-processor, makes of it, as in transformers; a prompt
 * of no tokens becomes the model's beginning of a text. The text ends at any token of `model.ends`, or if there is none,
 * at the tokenizer's end-of-text token.
 * @throws TypeError or RangeError for a wrong argument, such as a prompt that fills the model's context or a tokenizer
 *   with more tokens than the model; DataError if the tokenizer has no end-of-text token; DeviceError, OutOfMemoryError
 *
 * @example
 * ```ts
 * import { generate, Llama, Tokenizer } from "nextpatch";
 *
 * using model = await Llama.load("runs/mine/model");
 * const tokenizer = await Tokenizer.fromFile("runs/mine/model/tokenizer.json");
 * const { text, finish } = await generate(model, tokenizer, "The river", { maxTokens: 32, topP: 0.9, seed: 1 });
 * console.log(text, finish);
 * ```
 */
export async function generate(
  model: Llama,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateOptions = {},
): Promise<Generation> {
  const check = new Arguments("generate");
  const settings = checked(check, model, tokenizer, prompt, options, ["onText"]);
  const { onText } = options;
  check.callback("onText", onText);
  const watched = onText !== undefined || settings.stop.length > 0;
  const pieces = stream(check, model, tokenizer, prompt, settings, watched);
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return value;
    onText?.(value);
  }
}

/**
 * As `generate`, but yields the text in pieces as it grows, each of whole characters, and returns the result. Leaving the
 * loop ends the work.
 * @throws as `generate`, from the first piece on
 *
 * @example
 * ```ts
 * import { Llama, streamText, Tokenizer } from "nextpatch";
 *
 * using model = await Llama.load("runs/mine/model");
 * const tokenizer = await Tokenizer.fromFile("runs/mine/model/tokenizer.json");
 * for await (const piece of streamText(model, tokenizer, "The river", { maxTokens: 32 })) process.stdout.write(piece);
 * ```
 */
export async function* streamText(
  model: Llama,
  tokenizer: Tokenizer,
  prompt: string,
  options: Omit<GenerateOptions, "onText"> = {},
): AsyncGenerator<string, Generation> {
  const check = new Arguments("streamText");
  const settings = checked(check, model, tokenizer, prompt, options);
  return yield* stream(check, model, tokenizer, prompt, settings, true);
}

function checked(
  check: Arguments,
  model: Llama,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateOptions,
  more: readonly string[] = [],
): Settings {
  const settings = checkSettings(check, model, tokenizer, options, more);
  check.string("prompt", prompt);
  return settings;
}

async function* stream(
  check: Arguments,
  model: Llama,
  tokenizer: Tokenizer,
  prompt: string,
  settings: Settings,
  watched: boolean,
): AsyncGenerator<string, Generation> {
  const text = await Continuation.begin(check, "prompt", model, tokenizer, prompt, settings, watched);
  using decoder = new Decoder(model, text.prompt.length + text.limit);
  let input = text.prompt;
  while (!text.ended) {
    settings.signal?.throwIfAborted();
    const next = await decoder.next(input, settings.sampling);
    const piece = await text.take(next);
    if (piece !== "") yield piece;
    input = Int32Array.of(next);
  }
  const { rest, result } = await text.finish();
  if (rest !== "") yield rest;
  return result;
}
