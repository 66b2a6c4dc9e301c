import { writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { readDocuments } from "../../../lib/data/sources.js";
import { temporaryFolder } from "../../support/temporary.js";
import { read } from "./reading.js";

const path = temporaryFolder();

async function csv(content: string | Buffer, textField?: string) {
  writeFileSync(path("a.csv"), content);
  return read(path("a.csv"), { textField });
}

describe("CSV", () => {
  it("has the texts of the column that the first row names", async () => {
    const content = '\uFEFFid,text,n\r\n1,"a ""q"", b\r\nc",2\r\n\r\n2,,3\n3,é,4';
    const { texts, passedOver } = await csv(content);
    expect(texts).toEqual(['a "q", b\r\nc', "é"]);
    expect(passedOver).toEqual({ null: 0, empty: 1 });
    expect((await csv("id,body\n1,a\n")).notes).toHaveLength(1);
    expect((await csv("a.b,c\n1,2\n", "a.b")).texts).toEqual(["1"]);
  });

  it("has the position of each", async () => {
    writeFileSync(path("a.csv"), 'text\n"a\nb"\nc\n');
    const found = [];
    for await (const { where } of readDocuments(path("a.csv"))) found.push(where);
    expect(found).toEqual([
      { line: 2, row: 1, byte: 5 },
      { line: 4, row: 2, byte: 11 },
    ]);
  });

  it("names file and line of what cannot be", async () => {
    await expect(csv("text,id\n\na,1\nb,2,3\n")).rejects.toThrow(/a\.csv:4: expected comma-separated values /);
    await expect(csv('text\n"a')).rejects.toThrow(/a\.csv:2: expected comma-separated values .*Quote Not Closed/);
    await expect(csv('text\na "b" c\n')).rejects.toThrow(/a\.csv:2: expected comma-separated values /);
    await expect(csv("id;text\n1;a\n")).rejects.toThrow(
      /a\.csv:1: expected a field "text" but received the columns id;text; /,
    );
    await expect(csv("text,text\na,b\n")).rejects.toThrow(/a\.csv:1: expected one column "text" but received two$/);
    await expect(csv(Buffer.from("text\n\xe9\n", "latin1"))).rejects.toThrow(
      /a\.csv:2: expected UTF-8 text but received an invalid sequence at byte 5$/,
    );
  });

  it("is read in pieces", async () => {
    const rows = Array.from({ length: 50_000 }, (_, i) => `${i},"row ${i}, ""é"" and more of it"`);
    const { texts } = await csv(`id,text\n${rows.join("\n")}`);
    expect(texts).toHaveLength(50_000);
    expect(texts[49_999]).toBe('row 49999, "é" and more of it');
  });
});
