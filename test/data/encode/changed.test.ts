/**
 * Tokenizers that are like known ones but for one part, on which a cut in the text would show. The reference is the
 * library, which gets the text whole.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { Encoder } from "../../../lib/data/encode/encoder.js";
import { nativeTokenizers } from "../../../lib/data/tokenizer.js";

type Changes = Readonly<Record<string, unknown>>;

const make = await nativeTokenizers();
const byteLevel = { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true };
const noWords = { ...byteLevel, add_prefix_space: false, use_regex: false };
const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };
const replace = (text: string, content: string) => ({ type: "Replace", pattern: { String: text }, content });
const sequence = (...pretokenizers: unknown[]) => ({ type: "Sequence", pretokenizers });

const CASES: readonly [name: string, tokenizer: string, changes: Changes, texts: readonly string[]][] = [
  [
    "characters that have no token vanish, and their neighbours are merged",
    "llama3",
    { normalizer: null, pre_tokenizer: null },
    ["t h e", "the\u00e1re"],
  ],
  [
    "a letter beside a space becomes a space",
    "gpt2",
    { normalizer: replace("e", " "), pre_tokenizer: { ...byteLevel, add_prefix_space: false } },
    ["e e", "the end"],
  ],
  [
    "spaces become a mark that is none of a space",
    "word_piece",
    { normalizer: replace(" ", "▁") },
    ["1 a", "the river"],
  ],
  [
    "the mark of a space becomes a letter",
    "unigram",
    { normalizer: { type: "Sequence", normalizers: [replace(" ", "▁"), replace("▁", "a")] } },
    ["b c", "the river"],
  ],
  [
    "spaces are bytes before words are split at them",
    "unigram",
    { pre_tokenizer: sequence(noWords, metaspace) },
    ["b C"],
  ],
  [
    "spaces are marks before words are split at them",
    "gpt2",
    { pre_tokenizer: sequence({ ...metaspace, split: false }, { type: "WhitespaceSplit" }, byteLevel) },
    ["b the", "a river"],
  ],
  [
    "two parts have signs of their own for a space",
    "gpt2_prefix",
    { pre_tokenizer: sequence({ ...metaspace, prepend_scheme: "never" }, byteLevel) },
    ["1 a", "the river"],
  ],
  [
    "each digit, and what is between digits, begins with a space of its own",
    "digits",
    { pre_tokenizer: sequence({ type: "Digits", individual_digits: true }, byteLevel) },
    ["a river12", "the 12ab3"],
  ],
  [
    "each word begins with a space of its own",
    "gpt2",
    {
      pre_tokenizer: sequence(
        {
          type: "Split",
          pattern: { Regex: "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+" },
          behavior: "Isolated",
          invert: false,
        },
        { ...byteLevel, use_regex: false },
      ),
    },
    ["the river12", "ab1"],
  ],
];

describe("a text's tokens are those of the text as a whole where", () => {
  it.each(CASES)("%s", async (_, tokenizer, changes, texts) => {
    const json = readFileSync(new URL(`../../fixtures/encode/${tokenizer}.json`, import.meta.url), "utf8");
    const changed = JSON.stringify({ ...(JSON.parse(json) as object), ...changes });
    const native = make(changed);
    for (const text of texts) {
      const whole = await native.encode(text, null, { addSpecialTokens: false });
      const [ids] = await new Encoder(changed, make).encode([{ text, continues: false }]);
      expect([text, ...ids!]).toEqual([text, ...whole.getIds()]);
    }
  });
});
