import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "@jest/globals";
import { trainTokenizer } from "../../lib/data/bpe.js";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import { DataError } from "../../lib/errors.js";
import { documents } from "../support/documents.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const prose = (
  "The cat sat on the mat. The other cat sat on the other mat, and the dog sat with them.\n" +
  "Nobody remembers whose garden these animals visited before winter covered everything.\n"
).repeat(20);
const anything = [
  "",
  " ",
  "plain words",
  "  two\n\n\tlines ",
  "naïve Ærø",
  "日本語とк",
  "😀👩‍👩‍👧‍👦🏳️‍🌈",
  "\u0000\u007f",
  "<|endof",
];

describe("Tokenizer", () => {
  let json = "";
  beforeAll(async () => {
    json = await trainTokenizer(documents([prose]), { vocab: 290 });
  });

  it("gives any text back, one by one and in a batch", async () => {
    const tokenizer = await Tokenizer.fromJson(json);
    expect(tokenizer.vocabSize).toBe(290);
    const batch = await tokenizer.encodeBatch([...anything, prose]);
    for (const [i, text] of [...anything, prose].entries()) {
      expect(await tokenizer.decode(batch[i]!)).toBe(text);
      expect(await tokenizer.encode(text)).toEqual(batch[i]);
    }
    expect(batch.at(-1)!.length).toBeLessThan(0.6 * prose.length);
    expect((await tokenizer.encode("日")).length).toBe(3);
  });

  it("knows the end of a text", async () => {
    const tokenizer = await Tokenizer.fromJson(json);
    expect(tokenizer.endOfTextId).toBe(0);
    expect([...(await tokenizer.encode("a<|endoftext|>"))]).toEqual([...(await tokenizer.encode("a")), 0]);
    expect(await tokenizer.decode([0, ...(await tokenizer.encode("cat"))])).toBe("cat");
    expect(await tokenizer.decode([0], { keepSpecialTokens: true })).toBe("<|endoftext|>");
    const other = await Tokenizer.fromJson(json.replaceAll("<|endoftext|>", "</s>"));
    expect(other.endOfTextId).toBe(0);
    const none = await Tokenizer.fromJson(json.replaceAll("<|endoftext|>", "<stop>"), "odd.json");
    expect(() => none.endOfTextId).toThrow(
      "odd.json: expected an end-of-text token, <|endoftext|>, </s>, <|end_of_text|> or <eos>, but received",
    );
  });

  it("neither cuts nor pads, whatever the file says", async () => {
    const parts = JSON.parse(json) as Record<string, unknown>;
    parts.truncation = { direction: "Right", max_length: 4, strategy: "LongestFirst", stride: 0 };
    parts.padding = {
      strategy: { Fixed: 64 },
      direction: "Right",
      pad_to_multiple_of: null,
      pad_id: 0,
      pad_type_id: 0,
      pad_token: "x",
    };
    const tokenizer = await Tokenizer.fromJson(JSON.stringify(parts));
    const long = "zyx wvu tsr qpo nml";
    const batch = await tokenizer.encodeBatch(["a", long]);
    expect(batch[0]!.length).toBe(1);
    expect(await tokenizer.decode(batch[1]!)).toBe(long);
  });

  it("adds no special tokens, and counts ids with gaps", async () => {
    const parts = JSON.parse(json) as { added_tokens: unknown[]; post_processor: unknown };
    parts.added_tokens.push({
      id: 290,
      content: "<s>",
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    });
    parts.post_processor = {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: { "<s>": { id: "<s>", ids: [290], tokens: ["<s>"] } },
    };
    const tokenizer = await Tokenizer.fromJson(JSON.stringify(parts));
    expect(tokenizer.vocabSize).toBe(291);
    expect(await tokenizer.encode("cat")).toEqual(await (await Tokenizer.fromJson(json)).encode("cat"));
  });

  it("reads a file and names a bad one", async () => {
    writeFileSync(path("tokenizer.json"), json);
    const tokenizer = await Tokenizer.fromFile(path("tokenizer.json"));
    expect(tokenizer.hash).toBe(createHash("sha256").update(json).digest("hex"));
    await expect(Tokenizer.fromFile(path("none.json"))).rejects.toThrow(
      /none\.json: expected a tokenizer\.json but received a file that does not exist$/,
    );
    writeFileSync(path("bad.json"), "{}");
    await expect(Tokenizer.fromFile(path("bad.json"))).rejects.toThrow(
      /bad\.json: expected a tokenizer\.json but received other text: /,
    );
    await expect(Tokenizer.fromFile(path("bad.json"))).rejects.toThrow(DataError);
  });

  const bpe = (more: object) =>
    JSON.stringify({
      version: "1.0",
      added_tokens: [],
      pre_tokenizer: { type: "Whitespace" },
      model: { type: "BPE", vocab: { a: 0, b: 1, "##b": 2, "a##b": 3, ab: 4 }, merges: [["a", "##b"]], ...more },
    });

  it("refuses merges that the library would end the process on", async () => {
    const prefixed = await Tokenizer.fromJson(bpe({ continuing_subword_prefix: "##" }));
    expect([...(await prefixed.encode("ab"))]).toEqual([4]);
    for (const merges of [
      [["a", "b"]],
      ["a b"],
      [
        ["a", "##b"],
        ["a", "é"],
      ],
    ]) {
      await expect(Tokenizer.fromJson(bpe({ continuing_subword_prefix: "##-", merges }))).rejects.toThrow(
        /^tokenizer: .*model\.merges\[\d\]: expected a second part that begins with "##-" but received "/,
      );
    }
  });

  const tokenizerOf = (parts: object) =>
    Tokenizer.fromJson(JSON.stringify({ ...(JSON.parse(bpe({})) as object), ...parts }));
  const token = (content: string, more: object = {}) => {
    return {
      id: 3,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
      ...more,
    };
  };
  /** A table of 256 units, all the same, and a text; the first number is how many bytes the trie says it has. */
  const table = (unit: number, bytes = 1024, text = "b\0") => {
    const trie = Buffer.alloc(1028);
    trie.writeUInt32LE(bytes);
    for (let at = 4; at < trie.length; at += 4) trie.writeUInt32LE(unit, at);
    return { type: "Precompiled", precompiled_charsmap: Buffer.concat([trie, Buffer.from(text)]).toString("base64") };
  };
  const template = (single: object[]) => ({ type: "TemplateProcessing", single, pair: [], special_tokens: {} });

  it.each([
    [{ pre_tokenizer: { type: "FixedLength", length: 0 } }, "pre_tokenizer.length: expected at least 1 but received 0"],
    [
      {
        decoder: { type: "Sequence", decoders: [{ type: "Fuse" }, { type: "Strip", content: " ", start: 0, stop: 1 }] },
      },
      "decoder.decoders[1].stop: expected 0 but received 1",
    ],
    [
      { post_processor: template([{ SpecialToken: { id: "<s>", type_id: 0 } }]) },
      'post_processor.single[0]: expected one of special_tokens but received "<s>"',
    ],
    [
      { post_processor: { type: "Sequence", processors: [template([{ Sequence: { id: "B", type_id: 0 } }])] } },
      'post_processor.processors[0].single[0]: expected sequence "A" but received "B"',
    ],
    [
      { added_tokens: [token("</s>", { rstrip: true }), token(" ", { lstrip: true })] },
      'added_tokens[1]: expected no white space with lstrip beside "</s>" with rstrip but received " "',
    ],
    [
      {
        normalizer: { type: "Strip", strip_left: true, strip_right: true },
        added_tokens: [token(" ", { normalized: true })],
      },
      'added_tokens[0].content: expected text that the normalizer leaves something of but received " "',
    ],
    [{ normalizer: table(0, 2048) }, "SentencePiece but received 1030 bytes that say they begin with a trie of 2048"],
    [{ normalizer: table(1 << 20) }, "SentencePiece but received a trie that points beyond its end"],
    [{ normalizer: table(0x80000002) }, "SentencePiece but received a trie that points to no text"],
  ])("refuses what the library would end the process on, case %#", async (parts, says) => {
    const error: unknown = await tokenizerOf(parts).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message.endsWith(says)).toBe(true);
  });

  it("takes a table that points to what it has", async () => {
    expect(await (await tokenizerOf({ normalizer: table(0) })).encode("b")).toEqual(Uint32Array.of(1));
  });

  it("names a text that it cannot encode", async () => {
    const tokenizer = await Tokenizer.fromJson(bpe({ unk_token: "none" }));
    const error = await tokenizer.encode("x").catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message).toMatch(/^tokenizer: a text cannot be encoded: .*none/);
    expect(await tokenizer.frame()).toEqual({ before: [], after: [] });
  });
});
