/** Datasets in memory: the tokens, and the bytes, of those in files. */
import { writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { DataError } from "../../lib/errors.js";
import {
  type DatasetIds,
  type GivenDocuments,
  type MemoryOptions,
  prepareDataset,
  TokenDataset,
  Tokenizer,
} from "../../lib/index.js";
import { madeTokenizer } from "../support/made_tokenizer.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

async function tokensOf(dataset: TokenDataset): Promise<number[]> {
  const tokens = new Int32Array(dataset.tokenCount);
  await dataset.read(0, tokens);
  return [...tokens];
}

describe("a dataset of ids", () => {
  const ids = Array.from({ length: 1000 }, (_, i) => (i * 37) % 50_000);

  it.each([
    ["an array", [...ids]],
    ["a Uint16Array", Uint16Array.from(ids)],
    ["a Uint32Array", Uint32Array.from(ids)],
    ["an Int32Array", Int32Array.from(ids)],
  ] as [string, number[]][])("%s has a copy of them", async (_, given) => {
    const dataset = await TokenDataset.from(given);
    given.fill(7, 0, 3);
    expect(await tokensOf(dataset)).toEqual(ids);
    const some = new Int32Array(3);
    await dataset.read(500, some);
    expect([...some]).toEqual(ids.slice(500, 503));
    expect(dataset.shards[0]).toMatchObject({ path: "memory", tokenCount: 1000, bytesPerToken: 2, bytes: 1024 + 2000 });
    expect(dataset.locate(9)).toEqual({ path: "memory", position: 9 });
    expect(() => dataset.checkVocabulary(some, 500, 18_500)).toThrow(
      "memory: position 500: expected a token id below the vocabulary's size of 18500 but received 18500",
    );
    await dataset.close();
    await expect(dataset.read(0, some)).rejects.toThrow(
      "TokenDataset.read: this: expected an open dataset but received a closed one",
    );
  });

  it("takes four bytes a token where one needs it", async () => {
    const dataset = await TokenDataset.from([1, 65_536, 2 ** 31 - 1], { name: "large" });
    expect(dataset.shards[0]).toMatchObject({ path: "large", bytesPerToken: 4 });
    expect(await tokensOf(dataset)).toEqual([1, 65_536, 2 ** 31 - 1]);
  });

  it.each([
    [
      "an id that is none",
      [1, -1],
      {},
      RangeError,
      "TokenDataset.from: data[1]: expected a token's id, from 0 to below 2147483648, but received -1",
    ],
    [
      "a hole",
      Object.assign([1], { 2: 2 }),
      {},
      TypeError,
      "TokenDataset.from: data[1]: expected a token's id, from 0 to below 2147483648, but received undefined",
    ],
    ["none", new Uint16Array(0), {}, DataError, "memory: expected a token or more but received none"],
    [
      "numbers of another kind",
      new Float32Array(3),
      {},
      TypeError,
      "TokenDataset.from: data: expected an array of ids, or a Uint16Array, a Uint32Array or an Int32Array, but received a Float32Array",
    ],
    [
      "documents without a tokenizer",
      ["a"],
      {},
      TypeError,
      "TokenDataset.from: tokenizer: expected a Tokenizer, as documents are to be encoded, but received undefined",
    ],
  ])("%s is refused", async (_, data, options, type, message) => {
    const error: unknown = await TokenDataset.from(data as DatasetIds, options as MemoryOptions).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toBe(message);
  });

  it.each([
    [
      "a mask of another length",
      { mask: new Uint8Array(2) },
      "mask: expected a byte for each of 3 ids but received 2 of",
    ],
    ["one of other bytes", { mask: Uint8Array.of(1, 2, 0) }, "mask[1]: expected 0 or 1 but received 2"],
    ["one of another kind", { mask: [1, 1, 0] as never }, "mask: expected a Uint8Array but received an array"],
    ["no name", { name: "" }, 'name: expected a name but received the string ""'],
  ])("%s is refused", async (_, options: MemoryOptions, message) => {
    await expect(TokenDataset.from([1, 2, 3], options)).rejects.toThrow(`TokenDataset.from: ${message}`);
  });

  it("has a copy of its loss mask", async () => {
    const mask = Uint8Array.from(ids, (id) => id % 3 && 1);
    const dataset = await TokenDataset.from(ids, { mask });
    const expected = [...mask];
    mask.fill(1);
    expect(dataset.masked).toBe(true);
    const found = new Uint8Array(900);
    await dataset.readMask(33, found);
    expect([...found]).toEqual(expected.slice(33, 933));
    await dataset.close();
    await expect(dataset.readMask(0, found)).rejects.toThrow("expected an open dataset but received a closed one");
    expect((await TokenDataset.from(ids, { mask })).masked).toBe(false);
  });

  it("a tokenizer's vocabulary has them all", async () => {
    const tokenizer = await Tokenizer.fromJson(madeTokenizer());
    await expect(TokenDataset.from([256, 257], { tokenizer })).rejects.toThrow(
      "data[1]: expected a token's id, from 0 to below 257,",
    );
  });
});

describe("a dataset of documents", () => {
  const texts = Array.from({ length: 30 }, (_, i) => ({ text: i === 4 ? "" : `text ${i} 😀 <|endoftext|>.` }));
  const prompts = texts.map((document, i) => (i % 3 === 0 ? document : { ...document, prompt: `Which ${i}?` }));

  it.each([
    ["without", texts],
    ["with", prompts],
  ])("is, byte for byte, the shard that prepareDataset writes, %s prompts", async (_, documents) => {
    writeFileSync(path("tokenizer.json"), madeTokenizer());
    const info = await prepareDataset({
      documents,
      tokenizerPath: path("tokenizer.json"),
      valFraction: 0,
      out: path("out"),
    });
    const tokenizer = await Tokenizer.fromFile(path("tokenizer.json"));
    async function* slowly() {
      yield* documents;
    }
    const dataset = await TokenDataset.from(slowly(), { tokenizer });
    const { sha256, mask } = info.shards[0]!;
    const maskSha256 = mask?.sha256 ?? null;
    expect(dataset.memory).toMatchObject({ sha256, maskSha256, bytes: info.bytes.train, tokenizer });
    const file = await TokenDataset.open(path("out/train_000000.bin"));
    expect(await tokensOf(dataset)).toEqual(await tokensOf(file));
    await file.close();
    const beside = TokenDataset.from(documents, { tokenizer, mask: Uint8Array.of(1) });
    await expect(beside).rejects.toThrow(
      "mask: expected none beside documents, which have prompts, but received a Uint8A",
    );
  });

  it("names a document that cannot be used, and rejects with what an iterable throws", async () => {
    const tokenizer = await Tokenizer.fromJson(madeTokenizer());
    const from = (documents: GivenDocuments, options = {}) => TokenDataset.from(documents, { tokenizer, ...options });
    await expect(from(["a", { text: 3 as never }])).rejects.toThrow(
      "TokenDataset.from: data[1].text: expected a string but received 3",
    );
    await expect(from(["a", "\udc00"])).rejects.toThrow(
      "data[1]: expected text but received half of a surrogate pair (\\udc00)",
    );
    const lost = new Error("lost");
    const failing = function* () {
      yield "a";
      throw lost;
    };
    await expect(from(failing())).rejects.toBe(lost);
    await expect(from(["a"], { signal: AbortSignal.abort(lost) })).rejects.toBe(lost);
    await expect(from([""])).rejects.toThrow(new DataError("memory: expected a token or more but received none"));
  });
});
