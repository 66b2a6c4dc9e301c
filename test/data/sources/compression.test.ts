import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "@jest/globals";
import { unzstd, zstdDecoder } from "../../../lib/data/sources/zstd.js";
import { temporaryFolder } from "../../support/temporary.js";
import { cut, fixture, flipBits, read, words } from "./reading.js";

const path = temporaryFolder();

async function* chunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const WHOLE = [
  "words_1.txt.zst",
  "words_19.txt.zst",
  "words_no_check.txt.zst",
  "words_long.txt.zst",
  "words_frames.txt.zst",
  "words.txt.xz",
  "words_crc32.txt.xz",
  "words_streams.txt.xz",
  "words.txt.bz2",
  "words_streams.txt.bz2",
  "words.txt.gz",
];

describe("compressed files", () => {
  it.each(WHOLE)("%s is read as what it holds", async (name) => {
    const { texts, bytes } = await read(fixture(name));
    expect(texts).toEqual([words()]);
    expect(bytes).toBe(readFileSync(fixture(name)).length);
  });

  it("of runs are read whole", async () => {
    expect((await read(fixture("run.txt.bz2"))).texts).toEqual(["a".repeat(30_000)]);
  });

  it.each(WHOLE.filter((name) => !name.includes("no_check")))("%s: each flipped bit is refused", async (name) => {
    const { changed, refused } = await flipBits(name, 40, path);
    expect({ changed, refused }).toEqual({ changed: [], refused: 40 });
  });

  it.each(WHOLE)("%s: a file that is cut short is refused", async (name) => {
    const { changed, refused } = await cut(name, 10, path);
    // Between two frames or streams is not one of the places.
    expect({ changed, refused }).toEqual({ changed: [], refused: 10 });
  });

  it.each(["words_1.txt.zst", "words.txt.xz", "words.txt.bz2", "words.txt.gz"])(
    "%s: what follows the data is refused, and so is an empty file",
    async (name) => {
      const bytes = readFileSync(fixture(name));
      for (const tail of ["garbage", "\0\0\0\0\0\0\0"]) {
        if (name.endsWith(".xz") && tail.startsWith("\0")) continue; // xz may be padded
        writeFileSync(path(name), Buffer.concat([bytes, Buffer.from(tail)]));
        await expect(read(path(name))).rejects.toThrow(/expected \w+ data but received damaged data: /);
      }
      writeFileSync(path(name), "");
      await expect(read(path(name))).rejects.toThrow(/expected \w+ data but received damaged data: an empty file$/);
    },
  );

  it("are named by what they are, if that is not what the name says", async () => {
    writeFileSync(path("a.txt.zst"), gzipSync("words"));
    await expect(read(path("a.txt.zst"))).rejects.toThrow(/a\.txt\.zst: expected zstd data but received gzip data: /);
    writeFileSync(path("a.txt"), gzipSync("words"));
    await expect(read(path("a.txt"))).rejects.toThrow(/a\.txt:1: expected UTF-8 text but received gzip data: /);
    await expect(read(fixture("words_sha256.txt.xz"))).rejects.toThrow(/a filter or check that is not supported/);
  });
});

describe("zstd", () => {
  it("comes in chunks of any size", async () => {
    const bytes = readFileSync(fixture("words_frames.txt.zst"));
    for (const size of [1, 7, 4096]) {
      const parts: Uint8Array[] = [];
      for await (const part of unzstd(chunks(bytes, size))) parts.push(part);
      expect(Buffer.concat(parts).toString()).toBe(words());
    }
    const decode = await zstdDecoder();
    expect(Buffer.from(decode(bytes, 2 ** 20)).toString()).toBe(words());
  });

  it("has windows of up to 2 GiB, whose memory is taken as it fills", async () => {
    const bytes = readFileSync(fixture("words_long.txt.zst"));
    // The window's descriptor: 2^(10 + 21).
    expect(bytes[5]! >> 3).toBe(21);
    bytes[5] = 22 << 3;
    const decode = await zstdDecoder();
    expect(() => decode(bytes, 2 ** 20)).toThrow(
      "a window of 4294967296 bytes, where at most 2147483648 are supported",
    );
  });

  it("is an error that names the dictionary it was made with", async () => {
    const decode = await zstdDecoder();
    expect(() => decode(Buffer.from("28b52ffd0158070000", "hex"), 0)).toThrow("it was made with dictionary 7");
  });
});
