/** Token shards that other programs wrote. */
import { writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { TokenDataset } from "../../lib/data/dataset.js";
import type { ShardFormat } from "../../lib/data/format_names.js";
import { DataError } from "../../lib/errors.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

const arrays = {
  1: Uint8Array,
  2: Int8Array,
  3: Int16Array,
  4: Int32Array,
  5: BigInt64Array,
  8: Uint16Array,
} as const;
type Code = keyof typeof arrays;

function binary(code: Code, tokens: readonly number[]): Buffer {
  const array = code === 5 ? BigInt64Array.from(tokens.map(BigInt)) : (arrays[code] as typeof Int32Array).from(tokens);
  return Buffer.from(array.buffer);
}

/** Megatron's index of sequences of these lengths. */
function index(code: number, lengths: readonly number[], width: number): Buffer {
  const head = Buffer.alloc(34);
  head.write("MMIDIDX\0\0", "latin1");
  head.writeBigUInt64LE(1n, 9);
  head.writeUInt8(code, 17);
  head.writeBigUInt64LE(BigInt(lengths.length), 18);
  head.writeBigUInt64LE(BigInt(lengths.length + 1), 26);
  let at = 0n;
  const places = lengths.map((length) => {
    const place = at;
    at += BigInt(length * width);
    return place;
  });
  const documents = BigInt64Array.from({ length: lengths.length + 1 }, (_, i) => BigInt(i));
  return Buffer.concat([
    head,
    Buffer.from(Int32Array.from(lengths).buffer),
    Buffer.from(BigInt64Array.from(places).buffer),
    Buffer.from(documents.buffer),
  ]);
}

async function read(name: string, format?: ShardFormat): Promise<number[]> {
  await using dataset = await TokenDataset.open([{ path: path(name), ...(format && { format }) }]);
  const tokens = new Int32Array(dataset.tokenCount);
  await dataset.read(0, tokens);
  for (let from = 0; from < tokens.length; from++) {
    const part = new Int32Array(Math.min(3, tokens.length - from));
    await dataset.read(from, part);
    expect([...part]).toEqual([...tokens.subarray(from, from + part.length)]);
  }
  return [...tokens];
}

async function fails(name: string, format: ShardFormat, says: RegExp): Promise<void> {
  const error: unknown = await read(name, format).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DataError);
  expect((error as Error).message).toMatch(says);
}

describe("nanoGPT's shards", () => {
  it("are uint16 tokens without a header", async () => {
    const tokens = [50256, 1, 2, 65535, 0, 7, 8];
    writeFileSync(path("train.bin"), binary(8, tokens));
    expect(await read("train.bin", "nanogpt")).toEqual(tokens);
    await fails("train.bin", "llmc", /train\.bin: expected a token shard, whose header alone is 1024 bytes/);
    writeFileSync(path("long.bin"), Buffer.alloc(5000, 1));
    await fails("long.bin", "llmc", /begins with 16843009 .*those of nanoGPT and Megatron have a format to name/);
  });

  it("are not other files", async () => {
    writeFileSync(path("odd.bin"), Buffer.alloc(5));
    await fails(
      "odd.bin",
      "nanogpt",
      /odd\.bin: expected nanoGPT's uint16 tokens, an even number of bytes, but received 5$/,
    );
    writeFileSync(path("empty.bin"), "");
    await fails("empty.bin", "nanogpt", /even number of bytes, but received 0$/);
    const llmc = Buffer.alloc(1026);
    llmc.writeInt32LE(20240520);
    writeFileSync(path("llmc.bin"), llmc);
    await fails(
      "llmc.bin",
      "nanogpt",
      /llmc\.bin: expected nanoGPT's .* without a header but received llm\.c's header$/,
    );
  });
});

describe("Megatron's shards", () => {
  it.each([1, 2, 3, 4, 5, 8] as const)("of type %i are read", async (code) => {
    const tokens = [5, 100, 0, 127, 1, 2, 3, 4, 99];
    writeFileSync(path("a_text_document.bin"), binary(code, tokens));
    writeFileSync(path("a_text_document.idx"), index(code, [4, 2, 3], arrays[code].BYTES_PER_ELEMENT));
    for (const name of ["a_text_document", "a_text_document.bin", "a_text_document.idx", "a_*"]) {
      expect(await read(name, "megatron")).toEqual(tokens);
    }
  });

  it("with an id that is none are told by the vocabulary", async () => {
    writeFileSync(path("a.bin"), binary(5, [1, 2 ** 40]));
    writeFileSync(path("a.idx"), index(5, [2], 8));
    await using dataset = await TokenDataset.open([{ path: path("a"), format: "megatron" }]);
    const tokens = new Int32Array(2);
    await dataset.read(0, tokens);
    expect(() => dataset.checkVocabulary(tokens, 0, 100)).toThrow(/a\.bin: position 1: expected a token id below/);
  });

  it("are not other files", async () => {
    writeFileSync(path("a.bin"), binary(8, [1, 2, 3]));
    await fails("a", "megatron", /a\.idx: expected the index of .*a\.bin but received a file that does not exist$/);
    const good = index(8, [2, 1], 2);
    writeFileSync(path("a.idx"), good);
    expect(await read("a", "megatron")).toEqual([1, 2, 3]);
    const cases: [Buffer, RegExp][] = [
      [Buffer.alloc(0), /a\.idx: expected Megatron's index, .* but received an empty file$/],
      [Buffer.alloc(40), /a\.idx: expected Megatron's index, .* but received another file$/],
      [good.subarray(0, -1), /a\.idx: expected \d+ bytes for 2 sequences and 3 documents but received \d+$/],
      [index(6, [2, 1], 2), /a\.idx: expected whole numbers .* but received 6$/],
      [index(8, [2, 2], 2), /a\.bin: expected 8 bytes, as .*a\.idx says, but received 6$/],
      [index(8, [], 2), /a\.idx: expected 1 sequence or more but received 0$/],
    ];
    const version = Buffer.from(good);
    version.writeBigUInt64LE(2n, 9);
    for (const [content, says] of [...cases, [version, /expected version 1 .* but received 2$/] as const]) {
      writeFileSync(path("a.idx"), content);
      await fails("a", "megatron", says);
    }
  });
});
