/** Greedy text after a prompt, as transformers gives it (test/fixtures/make_prompts.py), from the prompt's text alone. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import { generate } from "../../lib/generate.js";
import { Llama } from "../../lib/nn/llama.js";
import { backends, open } from "../support/backends.js";

const folder = (name: string) => fileURLToPath(new URL(`../fixtures/prompts/${name}`, import.meta.url));
const expected = JSON.parse(readFileSync(folder("expected.json"), "utf8")) as Record<
  string,
  Record<string, { ids: number[]; new: number[]; ended: boolean }>
>;

it("a text ends in some of each model", () => {
  for (const prompts of Object.values(expected)) {
    const ends = Object.values(prompts).map(({ ended }) => ended);
    expect([ends.includes(true), Object.keys(prompts).length >= 5]).toEqual([true, true]);
  }
  expect(Object.keys(expected).sort()).toEqual(["llama2", "llama3", "own", "qwen"]);
});

describe.each(backends)("generate on %s", (backend) => {
  it.each(Object.keys(expected))("begins, goes on and ends as in transformers: %s", async (name) => {
    const tokenizer = await Tokenizer.fromFile(folder(name));
    using model = await Llama.load(folder(name), { device: open(backend), precision: "fp32" });
    for (const [prompt, { ids, new: added, ended }] of Object.entries(expected[name]!)) {
      expect([prompt, ...(await tokenizer.encode(prompt, { specialTokens: true }))]).toEqual([prompt, ...ids]);
      const result = await generate(model, tokenizer, prompt, { temperature: 0, maxTokens: 24 });
      expect({ prompt, ...result, tokensPerSecond: 0 }).toEqual({
        prompt,
        text: await tokenizer.decode(added),
        promptTokens: ids.length,
        newTokens: added.length,
        finish: ended ? "end-of-text" : "max-tokens",
        tokensPerSecond: 0,
      });
    }
  });
});
