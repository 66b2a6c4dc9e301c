import { writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { readDocuments, sourceFormat } from "../../lib/data/sources.js";
import { DataError } from "../../lib/errors.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

async function documents(name: string, content: string | Uint8Array): Promise<string[]> {
  writeFileSync(path(name), content);
  const found: string[] = [];
  for await (const { text, first } of readDocuments(path(name))) {
    if (first) found.push(text);
    else found[found.length - 1] += text;
  }
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
        new DataError(`${path("a.txt")}:1: expected UTF-8 text but received an invalid sequence at byte 1400000`),
      );
    }
    await expect(documents("utf16.txt", Buffer.from("\uFEFFwords", "utf16le"))).rejects.toThrow(
      /received UTF-16 text: an invalid sequence at byte 0$/,
    );
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
    await expect(fails('{"text":"cut')).rejects.toThrow(`${where}expected JSON but received other text at byte 29: `);
    await expect(fails('{"body":"x","id":1}')).rejects.toThrow(
      new DataError(`${where}expected an object with a "text" string but received one with the keys body, id`),
    );
    await expect(fails('{"text":7}')).rejects.toThrow(`${where}expected an object with a "text" string but received 7`);
    await expect(fails('["text"]')).rejects.toThrow(/but received \["text"\]$/);
    await expect(fails("null")).rejects.toThrow(/but received null$/);
    await expect(fails('"text"')).rejects.toThrow(/but received "text"$/);
  });
});

describe("file names", () => {
  it("decide the format; others are errors that list what is read", () => {
    expect(sourceFormat("x/y.v2/Text.JSONL.GZ")).toEqual({ format: "jsonl", compression: "gzip" });
    for (const name of ["a.pdf", "a.tsv", "a.pdf.gz", "a.parquet.bz", "a.txt.bz"]) {
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
