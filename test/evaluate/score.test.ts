/**
 * Scores against lm-evaluation-harness's own functions on transformers: the numbers come from
 * test/fixtures/scoring/make.py.
 */
import { describe, expect, it } from "@jest/globals";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import { formOf } from "../../lib/evaluate/items.js";
import { score } from "../../lib/evaluate/score.js";
import { scoreText } from "../../lib/evaluate/score_text.js";
import { Llama } from "../../lib/nn/llama.js";
import { backends, cases, open } from "../support/backends.js";
import { forms, reference, scoringFolder, tokenizerNames } from "../support/scoring.js";

const tolerance = 1e-4;

describe.each(backends)("scoring on %s", (backend) => {
  const load = () => Llama.load(scoringFolder, { device: open(backend), precision: "fp32" });
  const tokenizerOf = (name: string) => Tokenizer.fromFile(`${scoringFolder}/${name}.json`);

  /** The largest difference between log-likelihoods. */
  const furthest = (actual: readonly (readonly number[])[], expected: readonly (readonly number[])[]) =>
    Math.max(...actual.flatMap((row, i) => row.map((value, j) => Math.abs(value - expected[i]![j]!))));

  describe.each(cases<(typeof tokenizerNames)[number]>(backend, tokenizerNames, ["bos"]))(
    "with the tokenizer %s",
    (name) => {
      it.each(forms)("gives the harness's log-likelihoods and scores of %s", async (form) => {
        using model = await load();
        const all = reference.items[form];
        const items = cases(backend, [all], [all.slice(0, 40)])[0]!;
        const expected = reference.results[name].items[form];
        const progress: (readonly [number, number])[] = [];
        const onProgress = (done: number, of: number) => progress.push([done, of]);
        const result = await score(model, await tokenizerOf(name), items, { name: form, onProgress });
        const actual = result.items.map(({ logLikelihoods }) => logLikelihoods);
        expect(actual.map((row) => row.length)).toEqual(
          expected.logLikelihoods.slice(0, items.length).map((r) => r.length),
        );
        expect(furthest(actual, expected.logLikelihoods)).toBeLessThan(tolerance);
        if (form === "continuation") {
          const greedy = expected.greedy.slice(0, items.length).map(([one]) => one === 1);
          expect(greedy).toContain(true);
          expect(result.items.map((item) => item.greedy)).toEqual(greedy);
        }
        expect(progress.at(-1)![0]).toBe(progress.at(-1)![1]);
        if (items.length < all.length) return;
        const { perplexity = 1, ...shares } = expected.scores;
        const actualScores: Record<string, number> = Object.fromEntries(Object.entries(result.tasks[form]!));
        const { perplexity: own = 1, ...ownShares } = actualScores;
        expect(Object.keys(ownShares).sort()).toEqual(Object.keys(shares).sort());
        for (const [key, value] of Object.entries(shares)) expect(ownShares[key]).toBeCloseTo(value!, 12);
        expect(Math.abs(own / perplexity - 1)).toBeLessThan(1e-6);
      });

      it.each(forms)("puts examples before %s", async (form) => {
        using model = await load();
        const shots = { count: 2, items: reference.shots[form] };
        const expected = reference.results[name].shots[form];
        const items = reference.items[form].slice(0, expected.length);
        const result = await score(model, await tokenizerOf(name), items, { shots });
        expect(
          furthest(
            result.items.map(({ logLikelihoods }) => logLikelihoods),
            expected,
          ),
        ).toBeLessThan(tolerance);
      });

      it.each(cases(backend, [64, 16, 1], [64]))(
        "gives the harness's perplexities of texts, stride %i",
        async (stride) => {
          using model = await load();
          const expected = reference.results[name].text[stride]!;
          const result = await scoreText(model, await tokenizerOf(name), reference.documents, { stride });
          for (const key of ["wordPerplexity", "bytePerplexity", "bitsPerByte"] as const) {
            expect(Math.abs(result[key] / expected[key] - 1)).toBeLessThan(1e-6);
          }
          const { tokens, words, bytes } = result;
          expect({ tokens, words, bytes }).toEqual({
            tokens: expected.tokens,
            words: expected.words,
            bytes: expected.bytes,
          });
        },
      );
    },
  );

  it("does not depend on what else is scored", async () => {
    using model = await load();
    const tokenizer = await tokenizerOf("bos");
    const items = [...reference.items.choices.slice(0, 30), ...reference.items.choices.slice(0, 5)];
    const { items: together } = await score(model, tokenizer, items);
    for (const index of [0, 7, 29, 34]) {
      const { items: alone } = await score(model, tokenizer, [items[index]!]);
      expect(furthest([together[index]!.logLikelihoods], [alone[0]!.logLikelihoods])).toBeLessThan(tolerance);
    }
  });

  it("refuses items of different forms in a task, and continuations that do not fit", async () => {
    using model = await load();
    const tokenizer = await tokenizerOf("plain");
    const single = { query: "the", continuation: " river" };
    const mixed = [single, { ...reference.items.choices[0]!, task: "items" }];
    await expect(score(model, tokenizer, mixed)).rejects.toThrow(
      'items[1]: expected "continuation", as in the items before it, but received "choices"',
    );
    const long = [single, { query: "the", continuation: " river".repeat(65) }];
    await expect(score(model, tokenizer, long)).rejects.toThrow(
      /^items\[1\]: expected a continuation of at most 64 tokens, the model's context, but received \d+$/,
    );
  });

  it("sorts items into tasks, in their order", async () => {
    using model = await load();
    const task = (name: string, index: number) => ({ ...reference.items.choices[index]!, task: name });
    const single = { query: "the", continuation: " river" };
    const items = [task("b", 0), task("a", 1), single, task("b", 2)];
    const result = await score(model, await tokenizerOf("plain"), items, { name: "rest" });
    expect(Object.keys(result.tasks)).toEqual(["b", "a", "rest"]);
    expect(result.tasks.b!.items).toBe(2);
    expect(result.tasks.a).toMatchObject({ items: 1, acc_stderr: null, acc_norm_stderr: null });
    expect(Object.keys(result.tasks.rest!)).toEqual(["items", "acc", "acc_stderr", "perplexity"]);
    expect(result.items.map(({ index, task }) => [index, task])).toEqual([
      [0, "b"],
      [1, "a"],
      [2, "rest"],
      [3, "b"],
    ]);
    expect(result.items[2]!.gold).toBeNull();
    expect(result.items[0]!.gold).toBe("gold" in items[0]! ? items[0].gold : undefined);
  });
});

it("the fixtures hold 500 items of each form", () => {
  for (const form of forms) {
    expect(reference.items[form]).toHaveLength(500);
    expect(new Set(reference.items[form].map(formOf))).toEqual(new Set([form]));
  }
});
