/** Data of training that is made to exhaust its reader: refused with a short error, before it fills the memory. */
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "@jest/globals";
import { readJsonl } from "../../../lib/data/sources/jsonl.js";
import { TextField } from "../../../lib/data/sources/text_field.js";
import { temporaryFolder } from "../../support/temporary.js";
import { fixture, read } from "./reading.js";

const path = temporaryFolder();
const MEBIBYTE = 2 ** 20;

/** A zstd frame of blocks that stand for 128 KiB of one byte each. */
function zstdRuns(blocks: number): Uint8Array {
  const block = (isLast: boolean) => {
    const header = Buffer.alloc(4, "a");
    header.writeUIntLE((128 * 1024 * 8) | 2 | (isLast ? 1 : 0), 0, 3);
    return header;
  };
  // The magic number, no content size and no checksum, a window of 1 MiB.
  const start = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 10 << 3]);
  return Buffer.concat([start, ...Array.from({ length: blocks }, (_, i) => block(i === blocks - 1))]);
}

/** Several streams of a fixture, one behind the other. */
function streams(name: string, count: number): Uint8Array {
  return Buffer.concat(new Array<Buffer>(count).fill(readFileSync(fixture(name))));
}

describe("compressed data that comes to hundreds of times its bytes", () => {
  it.each([
    ["a.txt.gz", () => gzipSync(Buffer.alloc(80 * MEBIBYTE, "a"))],
    ["a.txt.zst", () => zstdRuns(640)],
    ["a.txt.xz", () => streams("run.txt.xz", 9)],
    ["a.txt.bz2", () => streams("run.txt.bz2", 2400)],
  ])("%s", async (name, made) => {
    writeFileSync(path(name), made());
    await expect(read(path(name))).rejects.toThrow(
      /: expected compressed data that comes to at most 200 times its bytes, or 64 MiB, but received more; /,
    );
  });

  it("is read up to 64 MiB", async () => {
    writeFileSync(path("b.txt.zst"), zstdRuns(8));
    expect((await read(path("b.txt.zst"))).texts[0]).toHaveLength(MEBIBYTE);
    writeFileSync(path("b.txt.xz"), streams("run.txt.xz", 1));
    expect((await read(path("b.txt.xz"))).texts[0]).toHaveLength(8 * MEBIBYTE);
  });
});

it("a line of JSONL of more than 256 MiB is refused while it is read", async () => {
  const chunk = Buffer.alloc(32 * MEBIBYTE, "a");
  let given = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('{"text":"first"}\n{"text":"');
    for (; ; given++) yield chunk;
  }
  const texts: unknown[] = [];
  const reading = (async () => {
    for await (const { text } of readJsonl(endless(), "a.jsonl", new TextField(undefined))) texts.push(text);
  })();
  await expect(reading).rejects.toThrow(
    "a.jsonl:2: expected a line of at most 268435456 bytes (256 MiB) but received one of more than 268435456 bytes " +
      "that begins at byte 17; split it",
  );
  expect(texts).toEqual(["first"]);
  expect(given).toBe(7);
});

/** Bytes of the levels of a page of that fixture: six groups of eight. */
const LEVELS = 7;

it("a run of a billion values in a page of Parquet is refused", async () => {
  const bytes = readFileSync(fixture("no_crc.parquet"));
  const levels = bytes.indexOf("first é") - 4 - LEVELS;
  expect([...bytes.subarray(levels - 4, levels + 1)]).toEqual([LEVELS, 0, 0, 0, 0x0d]);
  bytes.set([0x80, 0x80, 0x80, 0x80, 0x08, 1], levels);
  writeFileSync(path("a.parquet"), bytes);
  await expect(read(path("a.parquet"))).rejects.toThrow(
    /page at byte \d+: a run of 1073741824 values where 48 are left$/,
  );
});
