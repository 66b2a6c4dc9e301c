import { writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { DataError } from "../../../lib/errors.js";
import { temporaryFolder } from "../../support/temporary.js";
import { read } from "./reading.js";

const path = temporaryFolder();

async function jsonl(content: string | Uint8Array, textField?: string) {
  writeFileSync(path("a.jsonl"), content);
  return read(path("a.jsonl"), { textField });
}

describe("JSONL", () => {
  it("passes over null and empty texts, and counts them", async () => {
    const { texts, passedOver } = await jsonl('{"text":"a"}\n{"text":null}\n{"text":""}\n{"text":NaN}\n{"text":"b"}');
    expect(texts).toEqual(["a", "b"]);
    expect(passedOver).toEqual({ null: 2, empty: 1 });
  });

  it("takes what Python's json.dumps writes for numbers that JSON does not have", async () => {
    const lines = [
      '{"a":NaN,"b":-Infinity,"c":[Infinity],"text":"one NaN \\" Infinity -Infinity"}',
      '{"text":"Infinity","x":NaN}',
    ];
    expect((await jsonl(lines.join("\n"))).texts).toEqual(['one NaN " Infinity -Infinity', "Infinity"]);
    await expect(jsonl('{"text":"a","b":NaNcy}')).rejects.toThrow(/a\.jsonl:1: expected JSON/);
  });

  it("takes byte order marks, CRLF, NUL characters, duplicate keys and a last line without its end", async () => {
    const content = '\uFEFF{"text":"a"}\r\n\r\n \t\n\uFEFF{"text":"b\\u0000c"}\r\n{"text":"x","text":"last"}';
    expect((await jsonl(content)).texts).toEqual(["a", "b\0c", "last"]);
    expect((await jsonl("")).texts).toEqual([]);
  });

  it("finds a field inside others, and one whose name has dots", async () => {
    const line = '{"a":{"b":{"c":"deep"}},"x.y":"dotted"}';
    expect((await jsonl(line, "a.b.c")).texts).toEqual(["deep"]);
    expect((await jsonl(line, "x.y")).texts).toEqual(["dotted"]);
    expect((await jsonl('{"a":null}', "a.b.c")).passedOver.null).toBe(1);
    await expect(jsonl(line, "a.b.d")).rejects.toThrow(
      /expected an object with a "a\.b\.d" string but received one with the keys a, x\.y$/,
    );
    await expect(jsonl('{"__proto__x":1}', "constructor.name")).rejects.toThrow(DataError);
  });

  it("finds the usual names of the text, and says so", async () => {
    const { texts, notes } = await jsonl('{"id":1,"Content":"a"}\n{"id":2,"Content":"b"}');
    expect(texts).toEqual(["a", "b"]);
    expect(notes).toEqual([`${path("a.jsonl")}: no field "text": reading "Content"`]);
    expect((await jsonl('{"content":"no","text":"yes"}')).texts).toEqual(["yes"]);
    await expect(jsonl('{"content":"a","body":"b"}')).rejects.toThrow(
      /a\.jsonl:1: expected a field "text" but received several that may be it, "content" and "body"; .*--text-field$/,
    );
    await expect(jsonl('{"id":1,"words":"a"}')).rejects.toThrow(
      /a\.jsonl:1: expected a field "text" but received an object with the keys id, words; .*--text-field$/,
    );
  });

  it("names file, line and byte of what cannot be", async () => {
    const before = '{"text":"é"}\n\n';
    const fails = (line: string | Buffer) => jsonl(Buffer.concat([Buffer.from(before), Buffer.from(line)]));
    await expect(fails('{"text":"a",}')).rejects.toThrow(
      /a\.jsonl:3: expected JSON but received other text at byte 27: /,
    );
    await expect(fails("\0\0\0\0")).rejects.toThrow(/a\.jsonl:3: expected JSON but received other text at byte 15: /);
    await expect(fails(Buffer.from('{"text":"\xe9"}', "latin1"))).rejects.toThrow(
      new DataError(`${path("a.jsonl")}:3: expected UTF-8 text but received an invalid sequence at byte 24`),
    );
    await expect(fails('{"text":"\\ud83d!"}')).rejects.toThrow(
      /a\.jsonl:3: expected text but received half of a surrogate pair \(\\ud83d\)$/,
    );
    await expect(fails('{"text":["a"]}')).rejects.toThrow(
      /a\.jsonl:3: expected an object with a "text" string but received \["a"\]$/,
    );
  });

  it("has documents longer than one read", async () => {
    const long = "long é ".repeat(500_000);
    const { texts } = await jsonl(`${JSON.stringify({ text: long })}\n{"text":"short"}`);
    expect(texts[0] === long).toBe(true);
    expect(texts[1]).toBe("short");
  });
});
