import { writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { ValueSplitter } from "../../../lib/data/sources/json_splitter.js";
import { temporaryFolder } from "../../support/temporary.js";
import { read } from "./reading.js";

const path = temporaryFolder();

async function json(content: string, textField?: string) {
  writeFileSync(path("a.json"), content);
  return read(path("a.json"), { textField });
}

describe("JSON", () => {
  it("is an array of objects and strings", async () => {
    const content = '\uFEFF [{"text":"a"},\n"b [ , ] \\" {", null , {"text":null,"n":[1,{"x":NaN}]},{"text":"é"}]\n';
    const { texts, passedOver } = await json(content);
    expect(texts).toEqual(["a", 'b [ , ] " {', "é"]);
    expect(passedOver).toEqual({ null: 2, empty: 0 });
    expect((await json("[]")).texts).toEqual([]);
  });

  it("is one object, or several one after another", async () => {
    expect((await json('{\n "text": "a",\n "b": [1, {"c": "}"}]\n}\n')).texts).toEqual(["a"]);
    expect((await json('{"text":"a"}\n{"text":"b"}{"text":"c"}')).texts).toEqual(["a", "b", "c"]);
  });

  it("names file, line and byte of what cannot be", async () => {
    const bad: [string, RegExp][] = [
      ['[{"text":"a"},]', /:1: expected JSON but received no value before a comma or bracket at byte 14$/],
      ['[{"text":"a"}', /:1: expected JSON but received a file that is cut short at byte 13$/],
      ['[{"text":"a"},\n{"text":"b', /:2: expected JSON but received a file that is cut short at byte 25$/],
      ['{"text":"a"', /:1: expected JSON but received a file that is cut short at byte 11$/],
      ['[{"text":"a"}]\n[]', /:2: expected JSON but received more after the array's end at byte 15$/],
      ['[\n{"text":"a"} {"text":"b"}]', /:2: expected JSON but received other text at byte 15: /],
      ["words", /:1: expected JSON but received other text at byte 0: /],
      ["", /:1: expected JSON but received an empty file at byte 0$/],
      ["[3]", /:1: expected an object but received 3$/],
      ['"words"', /:1: expected an object but received "words"$/],
    ];
    for (const [content, message] of bad) await expect(json(content)).rejects.toThrow(message);
  });

  it("is cut into values alike in chunks of any size", () => {
    const content = Buffer.from('[{"a":"\\\\\\"]"},"é,",[1,[2]], 3 ]');
    for (let size = 1; size <= content.length; size++) {
      const splitter = new ValueSplitter("a.json");
      const found: string[] = [];
      const add = (values: ReturnType<ValueSplitter["push"]>): void => {
        for (const { bytes } of values) found.push(bytes.toString().trim());
      };
      for (let at = 0; at < content.length; at += size) add(splitter.push(content.subarray(at, at + size)));
      add(splitter.finish());
      expect(found).toEqual(['{"a":"\\\\\\"]"}', '"é,"', "[1,[2]]", "3"]);
    }
  });
});
