import type { Tokenizer } from "./data/tokenizer.js";
import { ConfigError } from "./errors.js";
import { Decoder, type SamplingSettings } from "./nn/decoder.js";
import type { Llama } from "./nn/llama.js";

export interface GenerateOptions extends Partial<SamplingSettings> {
  /** Tokens to add at most. Default 128. */
  readonly maxTokens?: number;
  /** Told the text that each new token completes. */
  readonly onText?: (text: string) => void;
}

export interface Generation {
  /** What was added to the prompt. */
  readonly text: string;
  readonly promptTokens: number;
  readonly newTokens: number;
  /** Why it ended: the model ended the text, or there were enough tokens, or its context was full. */
  readonly finish: "end-of-text" | "max-tokens" | "context";
  /** New tokens per second, the prompt's pass left out. */
  readonly tokensPerSecond: number;
}

/**
 * Continues a text. A prompt begins as a document does: behind the end-of-text token that separates the training
 * documents.
 * @throws ConfigError where the prompt fills the model's context or the tokenizer does not fit the model
 */
export async function generate(
  model: Llama,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateOptions = {},
): Promise<Generation> {
  const { maxTokens = 128, temperature = 0.8, topK = 0, topP = 1, seed = 1, onText } = options;
  const { vocab_size: vocabulary, max_position_embeddings: context } = model.config;
  if (tokenizer.vocabSize > vocabulary) {
    throw new ConfigError(`the tokenizer has ${tokenizer.vocabSize} tokens, the model only ${vocabulary}`);
  }
  const endOfText = tokenizer.endOfTextId;
  const ids = Int32Array.from([endOfText, ...(await tokenizer.encode(prompt))]);
  if (ids.length >= context) {
    throw new ConfigError(`the prompt has ${ids.length} tokens, the model's context holds ${context}`);
  }
  const limit = Math.min(maxTokens, context - ids.length);
  const decoder = new Decoder(model, ids.length + limit);
  try {
    const produced: number[] = [];
    let shown = "";
    let input = ids;
    let start = performance.now();
    let finish: Generation["finish"] = limit < maxTokens ? "context" : "max-tokens";
    while (produced.length < limit) {
      const next = await decoder.next(input, { temperature, topK, topP, seed });
      if (produced.length === 0) start = performance.now();
      if (next === endOfText) {
        finish = "end-of-text";
        break;
      }
      produced.push(next);
      input = Int32Array.of(next);
      if (onText) {
        // A character may span tokens: a text that ends in a replacement character is not whole yet.
        const text = await tokenizer.decode(produced);
        if (text.endsWith("\ufffd") && produced.length < limit) continue;
        onText(text.slice(shown.length));
        shown = text;
      }
    }
    const seconds = (performance.now() - start) / 1000;
    return {
      text: await tokenizer.decode(produced),
      promptTokens: ids.length - 1,
      newTokens: produced.length,
      finish,
      tokensPerSecond: produced.length > 1 ? (produced.length - 1) / seconds : 0,
    };
  } finally {
    decoder.dispose();
  }
}
