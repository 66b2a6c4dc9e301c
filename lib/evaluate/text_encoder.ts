import { join } from "node:path";
import type { Tokenizer } from "../data/tokenizer.js";
import { type ConfiguredTokens, configuredTokens, TOKENIZER_JSON } from "../data/tokenizer_files.js";
import { spacesBehind } from "./white_space.js";

/** A context and what may follow it, as text. */
export interface TextPair {
  readonly context: string;
  readonly continuation: string;
}

/** The same as token ids. */
export interface EncodedPair {
  readonly context: readonly number[];
  readonly continuation: readonly number[];
}

/** Texts to encode at once: enough for all threads, without all encodings in memory. */
const batch = 4096;

/**
 * Encodes texts as lm-evaluation-harness does: with what the tokenizer's post-processor puts around every text, unless the
 * text begins with its first token by name.
 */
export class TextEncoder {
  private constructor(
    private readonly tokenizer: Tokenizer,
    private readonly before: readonly number[],
    private readonly after: readonly number[],
    /** The token that stands for an empty context: the one that begins a text, else `bos_token`, else the one that ends it. */
    readonly start: number,
    private readonly startName: string,
  ) {}

  /**
   * @param folder the model's, whose `tokenizer_config.json` may name a `bos_token`
   * @throws DataError if the post-processor does not treat all texts alike, or there is no end-of-text token
   */
  static async of(tokenizer: Tokenizer, folder: string | null): Promise<TextEncoder> {
    const { before, after } = await tokenizer.frame();
    const start = before[0] ?? (await configuredStart(tokenizer, folder)) ?? tokenizer.endOfTextId;
    const name = await tokenizer.decode([start], { keepSpecialTokens: true });
    return new TextEncoder(tokenizer, before, after, start, name);
  }

  /** Encodes texts, each with what belongs around it. */
  async encode(texts: readonly string[]): Promise<number[][]> {
    const encoded = await this.#plain(texts);
    return texts.map((text, i) => {
      const ids = [...encoded[i]!];
      return text.startsWith(this.startName) ? ids : [...this.before, ...ids, ...this.after];
    });
  }

  /**
   * Encodes pairs: spaces at a context's end go to its continuation, the whole is encoded and cut where the context alone
   * ends. An empty context is the start token.
   */
  async pairs(pairs: readonly TextPair[], onProgress?: (done: number) => void): Promise<EncodedPair[]> {
    const all: EncodedPair[] = [];
    for (let start = 0; start < pairs.length; start += batch) {
      all.push(...(await this.#pairs(pairs.slice(start, start + batch))));
      onProgress?.(all.length);
    }
    return all;
  }

  async #pairs(pairs: readonly TextPair[]): Promise<EncodedPair[]> {
    const trimmed = pairs.map(({ context }) => context.replace(spacesBehind, ""));
    const distinct = [...new Set(trimmed)];
    const [wholes, plain, contexts] = await Promise.all([
      this.encode(pairs.map(({ context, continuation }) => context + continuation)),
      this.#plain(pairs.map(({ context, continuation }) => (context === "" ? continuation : ""))),
      this.encode(distinct),
    ]);
    const encodedContexts = new Map(distinct.map((text, i) => [text, contexts[i]!]));
    return pairs.map(({ context }, i) => {
      if (context === "") return this.#behindStart([...plain[i]!]);
      const encoded = encodedContexts.get(trimmed[i]!)!;
      const continuation = wholes[i]!.slice(encoded.length);
      // Only spaces, and a tokenizer that puts nothing before them.
      return encoded.length === 0 ? this.#behindStart(continuation) : { context: encoded, continuation };
    });
  }

  #behindStart(ids: readonly number[]): EncodedPair {
    return ids[0] === this.start
      ? { context: ids.slice(0, 1), continuation: ids.slice(1) }
      : { context: [this.start], continuation: ids };
  }

  #plain(texts: readonly string[]): Promise<Uint32Array[]> {
    return this.tokenizer.encodeBatch(texts);
  }
}

/** The id of `bos_token`, if there is one and it is a token of the vocabulary. */
async function configuredStart(tokenizer: Tokenizer, folder: string | null): Promise<number | undefined> {
  const { bos_token: name } =
    folder === null ? ({} as ConfiguredTokens) : await configuredTokens(join(folder, TOKENIZER_JSON));
  const ids = name === undefined ? [] : await tokenizer.encode(name);
  return ids.length === 1 ? ids[0] : undefined;
}
