/**
 * Log-probabilities of single tokens and embeddings against transformers: the numbers in
 * test/fixtures/forward_texts.json come from test/fixtures/make_forward.py.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import { embed } from "../../lib/evaluate/embed.js";
import { score } from "../../lib/evaluate/score.js";
import { scoreText } from "../../lib/evaluate/score_text.js";
import { forwardPositions } from "../../lib/nn/forward_pass.js";
import { Llama } from "../../lib/nn/llama.js";
import { backends, open } from "../support/backends.js";
import { reference, scoringFolder } from "../support/scoring.js";

interface Text {
  readonly text: string;
  readonly ids: number[];
  readonly logProbabilities: number[];
  readonly mean: number[];
  readonly last: number[];
}
const file = join(import.meta.dirname, "../fixtures/forward_texts.json");
const expected = JSON.parse(readFileSync(file, "utf8")) as Text[];
const texts = expected.map(({ text }) => text);

const tolerance = 1e-5;

function expectClose(actual: ArrayLike<number>, wanted: ArrayLike<number>): void {
  expect(actual.length).toBe(wanted.length);
  const differences = Array.from(
    actual,
    (value, i) => Math.abs(value - wanted[i]!) / Math.max(1, Math.abs(wanted[i]!)),
  );
  expect(Math.max(...differences)).toBeLessThan(tolerance);
}

describe.each(backends)("texts on %s", (backend) => {
  const device = open(backend);
  const load = (precision: "fp32" | "bf16" = "fp32") => Llama.load(scoringFolder, { device, precision });
  const tokenizer = Tokenizer.fromFile(`${scoringFolder}/bos.json`);

  it("have transformers' log-probability of each token", async () => {
    using model = await load();
    const items = texts.map((text) => ({ query: "", continuation: text }));
    const scored = await score(model, await tokenizer, items, { perToken: true });
    for (const [index, { ids, logProbabilities }] of expected.entries()) {
      const { tokens, logLikelihoods } = scored.items[index]!;
      expect([...tokens![0]!.ids]).toEqual(ids);
      expectClose(tokens![0]!.logLikelihoods, logProbabilities);
      const sum = logProbabilities.reduce((a, b) => a + b, 0);
      expect(Math.abs(logLikelihoods[0]! - sum)).toBeLessThan(1e-4);
    }
    const without = await score(model, await tokenizer, items.slice(0, 1));
    expect(without.items[0]).not.toHaveProperty("tokens");
  });

  it("have those of the continuation alone, for each of several choices", async () => {
    using model = await load();
    const [{ text, ids, logProbabilities }] = [expected[2]!];
    const [query, rest] = [text.slice(0, 5), text.slice(5)];
    const items = [{ query, choices: [" B", rest], gold: 1 }];
    const [item] = (await score(model, await tokenizer, items, { perToken: true })).items;
    const own = item!.tokens![1]!;
    expect([...own.ids]).toEqual(ids.slice(-own.ids.length));
    expectClose(own.logLikelihoods, logProbabilities.slice(-own.ids.length));
    for (const [choice, { logLikelihoods }] of item!.tokens!.entries()) {
      const sum = logLikelihoods.reduce((a, b) => a + b, 0);
      expect(Math.abs(sum - item!.logLikelihoods[choice]!)).toBeLessThan(1e-4);
    }
  });

  it("longer than the context have those of its windows", async () => {
    using model = await load();
    const encoded = await Promise.all(reference.documents.map(async (text) => (await tokenizer).encode(text)));
    const long = encoded.findIndex(({ length }) => length > 100);
    const text = reference.documents[long]!;
    const stride = 16;
    const { documents } = await scoreText(model, await tokenizer, [text], { stride, perToken: true });
    const { ids, logLikelihoods } = documents![0]!;
    // The harness puts a start token before a document, which has one of its own.
    expect([...ids]).toEqual([1, ...encoded[long]!]);
    // The second window: what comes after as many tokens as the context has, of which the last `stride` are its own.
    const context = model.config.max_position_embeddings;
    const start = stride - 1;
    const { logits } = model.forward(ids.slice(start, start + context));
    const rows = await logits.read();
    const vocabulary = model.config.vocab_size;
    for (let i = 0; i < stride; i++) {
      const position = context - stride + i;
      const row = [...rows.subarray(position * vocabulary, (position + 1) * vocabulary)];
      const sum = Math.log(row.reduce((total, value) => total + Math.exp(value), 0));
      const token = start + position + 1;
      expect(Math.abs(logLikelihoods[token]! - (row[ids[token]!]! - sum))).toBeLessThan(tolerance);
    }
  });

  it.each(["mean", "last"] as const)("have the %s of transformers' last hidden state", async (pooling) => {
    using model = await load();
    const progress: number[] = [];
    const onProgress = (done: number) => progress.push(done);
    const embeddings = await embed(model, await tokenizer, texts, { pooling, onProgress });
    expect(embeddings.length).toBe(texts.length);
    for (const [index, vector] of embeddings.entries()) expectClose(vector, expected[index]![pooling]);
    expect(progress.at(-1)).toBe(texts.length);
  });

  it("have the same embeddings among many of any length", async () => {
    using model = await load();
    const count = Math.ceil(forwardPositions[backend] / 4);
    const many = Array.from({ length: count }, (_, i) => texts[i % texts.length]!);
    const embeddings = await embed(model, await tokenizer, ["", ...many]);
    for (const [index, vector] of embeddings.slice(1).entries()) {
      expectClose(vector, expected[index % texts.length]!.mean);
    }
    expect(await embed(model, await tokenizer, [])).toEqual([]);
  });

  it("have embeddings in f32 of a model in bf16", async () => {
    using model = await load("bf16");
    const [vector] = await embed(model, await tokenizer, texts.slice(0, 1));
    const { mean } = expected[0]!;
    expect(Math.max(...mean.map((value, i) => Math.abs(value - vector![i]!)))).toBeLessThan(0.1);
  });

  it("that are longer than the context have no embedding", async () => {
    using model = await load();
    await expect(embed(model, await tokenizer, ["a", "stone ".repeat(99)])).rejects.toThrow(
      /^embed: texts\[1\]: expected at most 64 tokens, the model's context, but received \d+$/,
    );
  });
});
