import type { Arguments } from "../arguments.js";
import type { Tokenizer } from "../data/tokenizer.js";
import type { Llama } from "../nn/llama.js";
import type { Settings } from "./settings.js";
import { ShownText } from "./shown_text.js";

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

/** A text that grows behind its prompt, token by token, until something ends it. */
export class Continuation {
  /** The prompt's tokens, and the most that can follow. */
  readonly prompt: Int32Array;
  readonly limit: number;
  readonly #tokenizer: Tokenizer;
  readonly #ends: readonly number[];
  readonly #shown: ShownText;
  readonly #watched: boolean;
  readonly #atLimit: Generation["finish"];
  readonly #produced: number[] = [];
  #finish: Generation["finish"] | null = null;
  #start = 0;
  #end = 0;

  private constructor(model: Llama, tokenizer: Tokenizer, prompt: Int32Array, settings: Settings, watched: boolean) {
    this.prompt = prompt;
    this.limit = Math.min(settings.maxTokens, model.config.max_position_embeddings - prompt.length);
    this.#tokenizer = tokenizer;
    this.#ends = model.ends.length > 0 ? model.ends : [tokenizer.endOfTextId];
    this.#shown = new ShownText(settings.stop);
    this.#watched = watched;
    this.#atLimit = this.limit < settings.maxTokens ? "context" : "max-tokens";
  }

  /**
   * @param name the argument that `prompt` is
   * @param watched whether the text matters before its end: decoding it after every token takes time
   * @throws RangeError for a prompt that fills the model's context; DataError
   */
  static async begin(
    check: Arguments,
    name: string,
    model: Llama,
    tokenizer: Tokenizer,
    prompt: string,
    settings: Settings,
    watched: boolean,
  ): Promise<Continuation> {
    const { max_position_embeddings: context } = model.config;
    const encoded = await tokenizer.encode(prompt, { specialTokens: true });
    if (encoded.length > context - 1) {
      const expected = `at most ${context - 1} tokens, since the model's context of ${context} also holds a new one,`;
      check.fail(RangeError, name, expected, String(encoded.length));
    }
    const ids = Int32Array.from(encoded.length > 0 ? encoded : [beginning(model, tokenizer)]);
    return new Continuation(model, tokenizer, ids, settings, watched);
  }

  /** Whether it has ended. */
  get ended(): boolean {
    return this.#finish !== null;
  }

  /** Takes the next token. Returns what can be shown of the new text, if it is watched. */
  async take(token: number): Promise<string> {
    this.#end = performance.now();
    if (this.#produced.length === 0) this.#start = this.#end;
    if (this.#ends.includes(token)) {
      this.#finish = "end-of-text";
      return "";
    }
    this.#produced.push(token);
    if (this.#produced.length === this.limit) this.#finish = this.#atLimit;
    if (!this.#watched) return "";
    const piece = this.#shown.grow(await this.#tokenizer.decode(this.#produced));
    if (this.#shown.stopped) this.#finish = "stop";
    return piece;
  }

  /** At its end: what was not shown, and the result. */
  async finish(): Promise<{ readonly rest: string; readonly result: Generation }> {
    if (!this.#watched) this.#shown.grow(await this.#tokenizer.decode(this.#produced));
    const rest = this.#shown.finish();
    const newTokens = this.#produced.length;
    const seconds = (this.#end - this.#start) / 1000;
    const result = {
      text: this.#shown.text,
      promptTokens: this.prompt.length,
      newTokens,
      finish: this.#finish!,
      tokensPerSecond: newTokens > 1 ? (newTokens - 1) / seconds : 0,
    };
    return { rest, result };
  }
}

/** The token that begins a text: that of a loaded model's config, else the one that separates documents. */
function beginning(model: Llama, tokenizer: Tokenizer): number {
  const { bos_token_id } = model.config;
  return model.ends.length > 0 && bos_token_id !== null ? bos_token_id : tokenizer.endOfTextId;
}
