/** Several texts at once, against each one alone. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import type { Generation } from "../../lib/generate/continuation.js";
import { generateTexts } from "../../lib/generate/texts.js";
import { generate } from "../../lib/generate.js";
import { Llama } from "../../lib/nn/llama.js";
import { backends, cases, open } from "../support/backends.js";

const folder = (name: string) => fileURLToPath(new URL(`../fixtures/prompts/${name}`, import.meta.url));
const { penalty, generated } = JSON.parse(
  readFileSync(new URL("../fixtures/sampling.json", import.meta.url), "utf8"),
) as { penalty: number; generated: Record<string, Record<string, number[]>> };

describe.each(backends)("generateTexts on %s", (backend) => {
  const load = async (name: string) => ({
    model: await Llama.load(folder(name), { device: open(backend), precision: "fp32" }),
    tokenizer: await Tokenizer.fromFile(folder(name)),
  });
  const names = cases(backend, Object.keys(generated), ["own", "llama2"]);

  it.each(names)("gives the texts of transformers with a repetition penalty: %s", async (name) => {
    const { model, tokenizer } = await load(name);
    using _ = model;
    const options = { temperature: 0, maxTokens: 24, repetitionPenalty: penalty };
    const prompts = Object.keys(generated[name]!);
    const expected = await Promise.all(Object.values(generated[name]!).map((ids) => tokenizer.decode(ids)));
    const together = await generateTexts(model, tokenizer, prompts, options);
    expect(together.map(({ text }) => text)).toEqual(expected);
    const [prompt] = prompts;
    expect(await generate(model, tokenizer, prompt!, options)).toMatchObject({ text: expected[0]! });
  });

  it("gives each text as if it were alone, in the order of the prompts", async () => {
    const { model, tokenizer } = await load("own");
    using _ = model;
    const long = "river12 stone lamp quiet7. ".repeat(3);
    const prompts = ["river12 stone", long, " lamp", "", long, "stone lamp", `${long}lamp`, "quiet7.", "river1"];
    // Texts end at different lengths, so that sequences leave the batch; 4 tokens part the long prompts from the others.
    for (const options of [
      { temperature: 0, maxTokens: 40, repetitionPenalty: 1.2 },
      { temperature: 0, maxTokens: 4 },
      { temperature: 0, maxTokens: 40, stop: ["a", "7"] },
    ]) {
      const alone: Generation[] = [];
      for (const prompt of prompts) alone.push(await generate(model, tokenizer, prompt, options));
      const progress: number[] = [];
      const onProgress = (done: number, of: number) => progress.push(done, of);
      const together = await generateTexts(model, tokenizer, prompts, { ...options, onProgress });
      const timeless = (results: readonly Generation[]) => results.map((result) => ({ ...result, tokensPerSecond: 0 }));
      expect(timeless(together)).toEqual(timeless(alone));
      expect(progress).toEqual(prompts.flatMap((_, index) => [index + 1, prompts.length]));
    }
  });

  it("draws by the seed and the prompt's place, whatever the other prompts are", async () => {
    const { model, tokenizer } = await load("own");
    using _ = model;
    const options = { temperature: 1, maxTokens: 12, seed: 5 };
    const texts = async (prompts: string[], seed = 5) =>
      (await generateTexts(model, tokenizer, prompts, { ...options, seed })).map(({ text }) => text);
    const equal = await texts(["river", "river", "river", "river"]);
    expect(new Set(equal).size).toBe(4);
    expect(equal[0]).toBe((await generate(model, tokenizer, "river", options)).text);
    expect(await texts(["river", "river", "river", "river"])).toEqual(equal);
    expect(await texts(["river", "river", "river", "river"], 6)).not.toEqual(equal);
    const mixed = await texts(["stone lamp stone lamp quiet", "river", "", "river", "lamp"]);
    expect([mixed[1], mixed[3]]).toEqual([equal[1], equal[3]]);
  });

  it("names the prompt that is too long", async () => {
    const { model, tokenizer } = await load("own");
    using _ = model;
    const context = model.config.max_position_embeddings;
    const wrong = generateTexts(model, tokenizer, ["a", "stone ".repeat(context)]);
    await expect(wrong).rejects.toThrow(
      new RegExp(`^generateTexts: prompts\\[1\\]: expected at most ${context - 1} tokens, .* but received \\d+$`),
    );
  });
});
