import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import type { BytesPerToken } from "../../lib/data/shard.js";
import { openShard, ShardWriter } from "../../lib/data/shard.js";
import { DataError } from "../../lib/errors.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

async function writeShard(name: string, tokens: ArrayLike<number>, bytesPerToken: BytesPerToken): Promise<string> {
  const writer = await ShardWriter.create(path(name), bytesPerToken);
  await writer.write(tokens);
  await writer.finish();
  return path(name);
}

function headerOnly(name: string, words: number[], extraBytes = 0): string {
  const bytes = Buffer.alloc(1024 + extraBytes);
  words.forEach((word, i) => bytes.writeInt32LE(word, 4 * i));
  writeFileSync(path(name), bytes);
  return path(name);
}

async function failure(file: string): Promise<string> {
  const error: unknown = await openShard(file).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DataError);
  expect((error as Error).message).toContain(file);
  return (error as Error).message;
}

describe("token shards", () => {
  it("have llm.c's bytes, uint16", async () => {
    const bytes = readFileSync(await writeShard("a.bin", [1, 65535, 258], 2));
    expect(bytes.length).toBe(1024 + 6);
    expect([0, 4, 8].map((at) => bytes.readInt32LE(at))).toEqual([20240520, 1, 3]);
    expect(bytes.subarray(12, 1024).every((byte) => byte === 0)).toBe(true);
    expect([...bytes.subarray(1024)]).toEqual([1, 0, 255, 255, 2, 1]);
  });

  it("have llm.c's bytes, uint32", async () => {
    const bytes = readFileSync(await writeShard("a.bin", [128_000, 7], 4));
    expect([0, 4, 8].map((at) => bytes.readInt32LE(at))).toEqual([20240801, 7, 2]);
    expect([...bytes.subarray(1024)]).toEqual([0, 0xf4, 1, 0, 7, 0, 0, 0]);
  });

  it.each([2, 4] as const)("read back any range, %i bytes a token, over more than one write buffer", async (bytes) => {
    const count = 300_001;
    const tokens = Uint32Array.from({ length: count }, (_, i) => (i * 7919) % (bytes === 2 ? 65_536 : 200_000));
    const writer = await ShardWriter.create(path("a.bin"), bytes);
    for (let at = 0; at < count; at += 777) await writer.write(tokens.subarray(at, at + 777));
    expect(existsSync(path("a.bin"))).toBe(false);
    await writer.finish();
    const shard = await openShard(path("a.bin"));
    expect([shard.tokenCount, shard.bytesPerToken]).toEqual([count, bytes]);
    for (const [from, length] of [
      [0, count],
      [0, 0],
      [262_143, 3],
      [count - 1, 1],
      [5, 1001],
    ] as const) {
      const out = new Int32Array(length + 2).fill(-5);
      await shard.read(from, out.subarray(1, length + 1));
      expect(out[0]).toBe(-5);
      expect(out[length + 1]).toBe(-5);
      expect(
        Buffer.compare(Buffer.from(out.buffer, 4, 4 * length), Buffer.from(tokens.buffer, 4 * from, 4 * length)),
      ).toBe(0);
    }
    await expect(shard.read(count - 1, new Int32Array(2))).rejects.toThrow(RangeError);
    await expect(shard.read(-1, new Int32Array(2))).rejects.toThrow(RangeError);
    await shard.close();
  });

  it("refuse ids that the width cannot hold", async () => {
    for (const token of [65_536, -1, 1.5, NaN]) {
      const writer = await ShardWriter.create(path("a.bin"), 2);
      await expect(writer.write([3, token])).rejects.toThrow(`expected tokens that fit uint16 but received ${token}`);
      await writer.abort();
    }
    expect(existsSync(path("a.bin.partial"))).toBe(false);
  });

  it("name what is wrong with a file", async () => {
    writeFileSync(path("short.bin"), Buffer.alloc(1023));
    expect(await failure(path("short.bin"))).toMatch(/header alone is 1024 bytes, but received a file of 1023$/);
    expect(await failure(path("missing.bin"))).toMatch(
      /expected a token shard but received a file that does not exist$/,
    );
    expect(await failure(headerOnly("magic.bin", [1234, 1, 5]))).toMatch(
      /begins with 20240520 .* but received a file that begins with 1234 .*prepare/,
    );
    expect(await failure(headerOnly("version.bin", [20240520, 7, 5]))).toMatch(
      /expected version 1 of a token shard that begins with 20240520 but received 7$/,
    );
    expect(await failure(headerOnly("version.bin", [20240801, 1, 5]))).toMatch(
      /expected version 7 .*20240801 but received 1$/,
    );
    expect(await failure(headerOnly("zero.bin", [20240520, 1, 0]))).toMatch(/counts 1 token or more but received 0$/);
    expect(await failure(headerOnly("negative.bin", [20240520, 1, -4]))).toMatch(
      /counts 1 token or more but received -4$/,
    );
    expect(await failure(headerOnly("long.bin", [20240801, 7, 2], 12))).toMatch(
      /1032 bytes for a header and 2 uint32 tokens but received 1036: the file is longer than its header says$/,
    );
    await writeShard("cut.bin", [1, 2, 3], 2);
    truncateSync(path("cut.bin"), 1029);
    expect(await failure(path("cut.bin"))).toMatch(
      /1030 bytes for a header and 3 uint16 tokens but received 1029: the file is cut short$/,
    );
  });

  it("notice a file that shrinks under the reader, or is replaced", async () => {
    const shard = await openShard(await writeShard("a.bin", [1, 2, 3], 2));
    await shard.read(0, new Int32Array(3));
    truncateSync(path("a.bin"), 1026);
    await expect(shard.read(0, new Int32Array(3))).rejects.toThrow(
      /expected 6 bytes at byte 1024, as when it was opened, but received 2$/,
    );
    await shard.close();
    const other = await openShard(await writeShard("b.bin", [1, 2, 3], 2));
    await writeShard("b.bin", [4, 5, 6], 2);
    await expect(other.read(0, new Int32Array(3))).rejects.toThrow(
      /b\.bin: expected the token shard that was there at first but received one that was changed since$/,
    );
    rmSync(path("b.bin"));
    await expect(other.read(0, new Int32Array(3))).rejects.toThrow(/but received a file that does not exist$/);
    await other.close();
  });

  it("have the hash of their file, if they are as long as was expected", async () => {
    for (const [expected, bytes] of [
      [70_000, 2],
      [70_000, 4],
      [5, 2],
    ] as const) {
      const writer = await ShardWriter.create(path("hash.bin"), bytes, expected);
      await writer.write(Array.from({ length: 70_000 }, (_, i) => i % 5000));
      const { sha256, ...rest } = await writer.finish();
      const file = readFileSync(path("hash.bin"));
      expect(rest).toEqual({ path: path("hash.bin"), tokens: 70_000, bytes: file.length });
      expect(sha256).toBe(expected === 5 ? null : createHash("sha256").update(file).digest("hex"));
    }
  });
});
