import { beforeEach, describe, expect, it } from "@jest/globals";
import { trainTokenizer } from "../../lib/data/bpe.js";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import type { GenerateOptions } from "../../lib/generate/settings.js";
import { generateTexts } from "../../lib/generate/texts.js";
import { generate, streamText } from "../../lib/generate.js";
import { Llama } from "../../lib/nn/llama.js";
import { backends, open } from "../support/backends.js";

/** Words of a vocabulary of their own; end-of-text is not the first. */
const words = JSON.stringify({
  version: "1.0",
  added_tokens: [
    {
      id: 1,
      content: "<|endoftext|>",
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    },
  ],
  pre_tokenizer: { type: "Whitespace" },
  model: { type: "WordLevel", vocab: { word: 0, "<|endoftext|>": 1 }, unk_token: "word" },
});

describe.each(backends)("generate on %s", (backend) => {
  /** Weights of zero: all tokens are as likely, and the first of them is drawn at temperature 0. */
  const model = (vocab_size = 300, max_position_embeddings = 24) =>
    Llama.create(
      {
        vocab_size,
        hidden_size: 64,
        intermediate_size: 64,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        max_position_embeddings,
        initializer_range: 0,
      },
      { device: open(backend), precision: "fp32" },
    );
  let bytes: Tokenizer;
  beforeEach(async () => {
    bytes = await Tokenizer.fromJson(await trainTokenizer([], { vocab: 257 })); // end-of-text is the first
  });

  it("ends after as many tokens as were asked for", async () => {
    using zero = model();
    const tokenizer = await Tokenizer.fromJson(words);
    const result = await generate(zero, tokenizer, "one two", { maxTokens: 3, temperature: 0 });
    expect(result).toMatchObject({ finish: "max-tokens", promptTokens: 2, newTokens: 3, text: "word word word" });
    expect(result.tokensPerSecond).toBeGreaterThan(0);
    const whole = await generate(zero, tokenizer, "one two", { maxTokens: 22, temperature: 0 });
    expect(whole).toMatchObject({ finish: "max-tokens", newTokens: 22 }); // the context is full, and that was all
  });

  it("ends where its signal is aborted, by the signal's reason", async () => {
    using zero = model();
    const tokenizer = await Tokenizer.fromJson(words);
    const abort = new AbortController();
    const onText = () => abort.abort(new Error("enough"));
    const asked = { temperature: 0, signal: abort.signal };
    await expect(generate(zero, tokenizer, "one", { ...asked, onText })).rejects.toThrow("enough");
    await expect(generateTexts(zero, tokenizer, ["one", "two"], asked)).rejects.toThrow("enough");
    await expect(streamText(zero, tokenizer, "one", asked).next()).rejects.toThrow("enough");
  });

  it("ends where the context is full", async () => {
    using zero = model();
    const result = await generate(zero, await Tokenizer.fromJson(words), "one two", { temperature: 0 });
    expect(result).toMatchObject({ finish: "context", promptTokens: 2, newTokens: 24 - 2 });
  });

  it("ends where the model ends the text", async () => {
    using zero = model();
    const result = await generate(zero, bytes, "one two", { temperature: 0 });
    expect(result).toMatchObject({ finish: "end-of-text", newTokens: 0, text: "", tokensPerSecond: 0 });
  });

  it("tells the text as it grows, in whole characters, and all of it", async () => {
    using zero = model(257, 64);
    // Bytes at random: most of those above 127 are parts of characters that never come.
    for (const seed of [1, 2, 3, 4]) {
      const pieces: string[] = [];
      const options = { temperature: 1, seed, maxTokens: 40, onText: (piece: string) => pieces.push(piece) };
      const { text } = await generate(zero, bytes, "a", options);
      expect(text).toMatch(/\ufffd/);
      expect(pieces.length).toBeGreaterThan(5);
      expect(pieces.join("")).toBe(text);
      for (const piece of pieces.slice(0, -1)) expect(piece).not.toMatch(/\ufffd$/);
    }
  });

  it("ends before a stop text", async () => {
    using zero = model();
    const tokenizer = await Tokenizer.fromJson(words);
    const settings = { temperature: 0, maxTokens: 9 };
    const result = await generate(zero, tokenizer, "one", { ...settings, stop: ["x", "d word w"] });
    expect(result).toMatchObject({ finish: "stop", text: "wor", newTokens: 3 });
    expect(await generate(zero, tokenizer, "one", { ...settings, stop: ["x"] })).toMatchObject({
      finish: "max-tokens",
    });
    const empty = generate(zero, tokenizer, "one", { stop: ["a", ""] });
    await expect(empty).rejects.toThrow('generate: stop[1]: expected a text of at least one character but received ""');
  });

  it("streams its text, and ends when the reader does", async () => {
    using zero = model();
    const tokenizer = await Tokenizer.fromJson(words);
    const stream = streamText(zero, tokenizer, "one", { temperature: 0, maxTokens: 3 });
    const pieces: string[] = [];
    let next = await stream.next();
    for (; !next.done; next = await stream.next()) pieces.push(next.value);
    expect(pieces).toEqual(["word", " word", " word"]);
    expect(next.value).toMatchObject({ text: "word word word", newTokens: 3, finish: "max-tokens" });
    for await (const piece of streamText(zero, tokenizer, "one", { temperature: 0, maxTokens: 9 })) {
      expect(piece).toBe("word");
      break;
    }
    const refused = streamText(zero, tokenizer, "one", { maxTokens: 0 }).next();
    await expect(refused).rejects.toThrow(
      "streamText: maxTokens: expected a whole number of at least 1 but received 0",
    );
  });

  it("takes the longest prompt that leaves room for a token, and no longer one", async () => {
    using zero = model();
    const tokenizer = await Tokenizer.fromJson(words);
    const prompt = (length: number) => Array.from({ length }, () => "word").join(" ");
    const result = await generate(zero, tokenizer, prompt(23), { temperature: 0 });
    expect(result).toMatchObject({ finish: "context", newTokens: 1 });
    const longer = generate(zero, tokenizer, prompt(24));
    await expect(longer).rejects.toBeInstanceOf(RangeError);
    await expect(longer).rejects.toThrow(/^generate: prompt: expected at most 23 .* context of 24 .* but received 24$/);
  });

  it("refuses a tokenizer larger than the model, and settings that are none", async () => {
    using small = model(256);
    const larger = generate(small, bytes, "a");
    await expect(larger).rejects.toBeInstanceOf(RangeError);
    await expect(larger).rejects.toThrow(
      "generate: tokenizer: expected at most the model's 256 tokens but received 257",
    );
    using zero = model();
    for (const maxTokens of [0, -1, 0.5, NaN, null, "3"]) {
      const wrong = generate(zero, bytes, "a", { maxTokens } as GenerateOptions);
      await expect(wrong).rejects.toThrow(/^generate: maxTokens: expected a whole number of at least 1 but received /);
    }
    for (const [name, value, kind] of [
      ["maxTokens", 0, RangeError],
      ["maxTokens", "3", TypeError],
      ["temperature", -1, RangeError],
      ["topK", 0.5, RangeError],
      ["topP", 2, RangeError],
      ["minP", 1.5, RangeError],
      ["repetitionPenalty", 0, RangeError],
      ["seed", null, TypeError],
      ["onText", "print", TypeError],
    ] as const) {
      const wrong = generate(zero, bytes, "a", { [name]: value } as GenerateOptions);
      await expect(wrong).rejects.toBeInstanceOf(kind);
      await expect(wrong).rejects.toThrow(new RegExp(`^generate: ${name}: expected .+ but received `));
    }
    const wrongly = generate as (...args: unknown[]) => Promise<unknown>;
    await expect(wrongly(null, bytes, "a")).rejects.toThrow("generate: model: expected a Llama but received null");
    await expect(wrongly(zero, words, "a")).rejects.toThrow(/^generate: tokenizer: expected a Tokenizer but received /);
    await expect(wrongly(zero, bytes, 7)).rejects.toThrow("generate: prompt: expected a string but received 7");
    await expect(wrongly(zero, bytes, "a", 1)).rejects.toThrow("generate: options: expected an object but received 1");
    zero.dispose();
    await expect(wrongly(zero, bytes, "a")).rejects.toThrow(
      "generate: model: expected a live model but received a disposed one",
    );
  });
});
