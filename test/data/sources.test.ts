import { writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "@jest/globals";
import { readDocuments, sourceFormat } from "../../lib/data/sources.js";
import { DataError } from "../../lib/errors.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

/** "a line of text\n" forty times, by `zstd -19`. */
const ZSTD = "KLUv/WRYAbUAAHhhIGxpbmUgb2YgdGV4dAoBAEakmnUnQdvz";

/** By hyparquet-writer, row groups of 2, Snappy: id 1..4; text "first é", null, "third 😀", "fourth". */
const PARQUET =
  "UEFSMRUGFRQVGFwVBBUAFQQVABUEFQAAAAMDCBwBAAAAAgAAABUGFRwVIFwVBBUCFQQVABUEFQAAAAMBDCwIAAAAZmlyc3Qgw6kVBhUUFRhcFQQV" +
  "ABUEFQAVBBUAAAADAwgcAwAAAAQAAAAVBhU0FThcFQQVABUEFQAVBBUAAAADAxhcCgAAAHRoaXJkIPCfmIAGAAAAZm91cnRoFQQZPEgEcm9vdBUE" +
  "ABUCJQIYAmlkABUMJQIYBHRleHQlAAAWCBksGSwmCBwVAhkVABkYAmlkFQIWBBY+FkImCDw2ACgEAgAAABgEAQAAAAAZHBUGFQAVAgAAACZKHBUM" +
  "GRUAGRgEdGV4dBUCFgQWRhZKJko8NgIoCGZpcnN0IMOpGAhmaXJzdCDDqQAZHBUGFQAVAgAAABaEARYENowBABksJpQBHBUCGRUAGRgCaWQVAhYE" +
  "Fj4WQiaUATw2ACgEBAAAABgEAwAAAAAZHBUGFQAVAgAAACbWARwVDBkVABkYBHRleHQVAhYEFl4WYibWATw2ACgKdGhpcmQg8J+YgBgGZm91cnRo" +
  "ABkcFQYVABUCAAAAFpwBFgQ2pAEAKAloeXBhcnF1ZXQZLBwAABwAAAAxAQAAUEFSMQ==";

/** One column "body". */
const PARQUET_NO_TEXT =
  "UEFSMRUGFQ4VElwVAhUAFQIVABUEFQAAAAMBBRABAAAAYRUEGSxIBHJvb3QVAgAVDCUCGARib2R5JQAAFgIZHBkcJggcFQwZFQAZGARib2R5FQIW" +
  "AhY4FjwmCDw2ACgBYRgBYQAZHBUGFQAVAgAAABY4FgI2PAAoCWh5cGFycXVldBkcHAAAAGYAAABQQVIx";

/** Column "text" of int32. */
const PARQUET_NUMBERS =
  "UEFSMRUGFQwVEFwVAhUAFQIVABUEFQAAAAMBBAwBAAAAFQQZLEgEcm9vdBUCABUCJQIYBHRleHQAFgIZHBkcJggcFQIZFQAZGAR0ZXh0FQIWAhY2" +
  "FjomCDw2ACgEAQAAABgEAQAAAAAZHBUGFQAVAgAAABY2FgI2OgAoCWh5cGFycXVldBkcHAAAAGoAAABQQVIx";

async function documents(name: string, content: string | Uint8Array): Promise<string[]> {
  writeFileSync(path(name), content);
  const found: string[] = [];
  for await (const { text, first } of readDocuments(path(name))) {
    if (first) found.push(text);
    else found.push(found.pop()! + text);
  }
  return found;
}

async function pieces(name: string, content: string): Promise<string[]> {
  writeFileSync(path(name), content);
  const found: string[] = [];
  for await (const { text } of readDocuments(path(name))) found.push(text);
  return found;
}

describe("plain text", () => {
  it("is one document a file, and none if empty", async () => {
    expect(await documents("a.txt", "one\ntwo\n")).toEqual(["one\ntwo\n"]);
    expect(await documents("b.MD", "# é 😀")).toEqual(["# é 😀"]);
    expect(await documents("LICENSE", "words")).toEqual(["words"]);
    expect(await documents("bom.txt", "\uFEFFwords")).toEqual(["words"]);
    expect(await documents("empty.txt", "")).toEqual([]);
  });

  it("comes whole through reads that end inside a character", async () => {
    for (const shift of ["", "a", "ab", "abc"]) {
      const text = `${shift}${"😀é日".repeat(300_000)}`;
      expect((await documents("a.txt", text))[0] === text).toBe(true);
    }
  });

  it("names the first byte that is not UTF-8", async () => {
    const bad: [string, number[]][] = [
      ["lone continuation", [0x80, 0x41]],
      ["overlong", [0xc0, 0xaf]],
      ["surrogate", [0xed, 0xa0, 0x80]],
      ["like U+FFFD", [0xef, 0x41]],
      ["cut at the end", [0xf0, 0x9f, 0x98]],
    ];
    const before = "é".repeat(700_000);
    for (const [, bytes] of bad) {
      const content = Buffer.concat([Buffer.from(before), Buffer.from(bytes)]);
      await expect(documents("a.txt", content)).rejects.toThrow(
        new DataError(`${path("a.txt")}: expected UTF-8 text but received an invalid sequence at byte 1400000`),
      );
    }
    await expect(documents("utf16.txt", Buffer.from("\uFEFFwords", "utf16le"))).rejects.toThrow(/at byte 0$/);
  });

  it("is cut only at a lone line break or space while there is one", async () => {
    const text = "some words here\nand  more \n\n of them, and so on\n".repeat(3000);
    const cut = await pieces("a.txt", text);
    expect(cut.join("")).toBe(text);
    expect(cut.length).toBeGreaterThanOrEqual(Math.ceil(text.length / 16_384));
    for (const [i, piece] of cut.slice(1).entries()) {
      expect(piece).toMatch(/^\S/);
      expect(cut[i]).toMatch(/\S\n$/);
    }
    const line = "word ".repeat(10_000);
    for (const piece of (await pieces("a.txt", line)).slice(1)) expect(piece).toMatch(/^ \S/);
    const solid = `a${"😀".repeat(20_000)}`;
    const solidPieces = await pieces("a.txt", solid);
    expect(solidPieces.join("")).toBe(solid);
    for (const piece of solidPieces) {
      expect(piece.length).toBeLessThanOrEqual(16_384);
      expect(Buffer.from(piece).toString()).toBe(piece); // a surrogate on its own would come back as U+FFFD
    }
  });
});

describe("JSONL", () => {
  it("is one document a line", async () => {
    const long = "words and words ".repeat(5000);
    const lines = [{ text: "one" }, { id: 3, text: "two\nlines 😀" }, { text: "" }, { text: long }];
    const content = lines.map((line) => JSON.stringify(line)).join("\r\n");
    expect(await documents("a.jsonl", `${content}\n\n  \n`)).toEqual(["one", "two\nlines 😀", long]);
    expect(await documents("a.ndjson", content)).toEqual(["one", "two\nlines 😀", long]);
  });

  it("names file and line of an error", async () => {
    const ok = '{"text":"fine"}\n\n';
    const fails = async (line: string): Promise<void> => void (await documents("a.jsonl", `${ok}${line}\n`));
    const where = `${path("a.jsonl")}:3: `;
    await expect(fails('{"text":"cut')).rejects.toThrow(`${where}expected JSON but received other text: `);
    await expect(fails('{"body":"x","id":1}')).rejects.toThrow(
      new DataError(`${where}expected an object with a "text" string but received one with the keys body, id`),
    );
    await expect(fails('{"text":7}')).rejects.toThrow(
      `${where}expected an object with a "text" string but received {"text":7}`,
    );
    await expect(fails('["text"]')).rejects.toThrow(/but received \["text"\]$/);
    await expect(fails("null")).rejects.toThrow(/but received null$/);
    await expect(fails('"text"')).rejects.toThrow(/but received "text"$/);
  });
});

describe("compressed sources", () => {
  it("are read as what they hold", async () => {
    expect(await documents("a.txt.gz", gzipSync("zipped é"))).toEqual(["zipped é"]);
    const members = Buffer.concat([gzipSync('{"text":"a"}\n{"te'), gzipSync('xt":"b"}')]);
    expect(await documents("a.jsonl.gz", members)).toEqual(["a", "b"]);
    const frame = Buffer.from(ZSTD, "base64");
    expect(await documents("a.zst", frame)).toEqual(["a line of text\n".repeat(40)]);
    expect(await documents("a.txt.zst", Buffer.concat([frame, frame]))).toEqual(["a line of text\n".repeat(80)]);
  });

  it("are errors where damaged or cut short", async () => {
    const gzip = gzipSync("zipped words");
    await expect(documents("a.gz", gzip.subarray(0, -3))).rejects.toThrow(
      /a\.gz: expected gzip data but received damaged data: /,
    );
    await expect(documents("a.gz", "no gzip")).rejects.toThrow(/a\.gz: expected gzip data but received damaged data: /);
    await expect(documents("a.gz", gzipSync(Buffer.of(0xff)))).rejects.toThrow(
      /a\.gz: expected UTF-8 text .* at byte 0$/,
    );
    const frame = Buffer.from(ZSTD, "base64");
    await expect(documents("a.zst", frame.subarray(0, -6))).rejects.toThrow(
      /a\.zst: expected zstd data but received damaged data: /,
    );
    await expect(documents("a.zst", "this is not zstd data")).rejects.toThrow(
      /a\.zst: expected zstd data but received damaged data: /,
    );
  });
});

describe("Parquet", () => {
  it("is one document a row, null passed over", async () => {
    expect(await documents("a.parquet", Buffer.from(PARQUET, "base64"))).toEqual(["first é", "third 😀", "fourth"]);
    const size = Buffer.from(PARQUET, "base64").length;
    let told = 0;
    for await (const _ of readDocuments(path("a.parquet"), (bytes) => (told += bytes)));
    expect(told).toBeCloseTo(size);
  });

  it("names what is wrong with a file", async () => {
    await expect(documents("a.parquet", Buffer.from(PARQUET_NO_TEXT, "base64"))).rejects.toThrow(
      new DataError(`${path("a.parquet")}: expected a column "text" but received the columns body`),
    );
    await expect(documents("a.parquet", Buffer.from(PARQUET_NUMBERS, "base64"))).rejects.toThrow(
      /a\.parquet: row 1: text: expected a string but received a number$/,
    );
    await expect(documents("a.parquet", "nothing of the kind")).rejects.toThrow(
      /a\.parquet: expected a Parquet file but received another or a damaged one: /,
    );
  });
});

describe("file names", () => {
  it("decide the format; others are errors that list what is read", () => {
    expect(sourceFormat("x/y.v2/Text.JSONL.GZ")).toEqual({ format: "jsonl", compression: "gzip" });
    for (const name of ["a.pdf", "a.json", "a.pdf.gz", "a.parquet.zst", "a.txt.bz2"]) {
      expect(() => sourceFormat(name)).toThrow(DataError);
      expect(() => sourceFormat(name)).toThrow(
        /^a\..*: expected a name that ends in \.txt, \.md, \.jsonl.*\.parquet.* received \./,
      );
    }
    expect(() => sourceFormat("a.pdf.gz")).toThrow(/but received \.pdf\.gz$/);
  });

  it("of a file that cannot be read are named", async () => {
    const reading = async (): Promise<void> => {
      for await (const _ of readDocuments(path("none.txt")));
    };
    await expect(reading()).rejects.toThrow(/none\.txt: expected text but received a file that does not exist$/);
  });
});
