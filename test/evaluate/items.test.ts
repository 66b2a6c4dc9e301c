import { writeFileSync } from "node:fs";
import { expect, it } from "@jest/globals";
import { DataError } from "../../lib/errors.js";
import { readItems } from "../../lib/evaluate/read_items.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

const choices = { query: "q", choices: [" a", " b"], gold: 1 };
const contexts = { contexts: ["a", "b"], continuation: " c", gold: 0 };
// A line separator of Unicode ends no line of JSONL.
const single = { query: "a\u2028b", continuation: " c", task: "own" };

it("reads items of every form, and their places", async () => {
  const lines = [JSON.stringify(choices), "", "  ", JSON.stringify(contexts), JSON.stringify(single)];
  writeFileSync(path("my.task.jsonl"), `\ufeff${lines.join("\r\n")}`);
  const { items, nameOf } = await readItems(path("my.task.jsonl"), true);
  expect(items).toEqual([{ ...choices, task: "my.task" }, { ...contexts, task: "my.task" }, single]);
  expect([0, 1, 2].map(nameOf)).toEqual([1, 4, 5].map((line) => `${path("my.task.jsonl")}:${line}`));
  expect((await readItems(path("my.task.jsonl"), false)).items[0]).toEqual(choices);
});

it.each([
  [[], ": expected an object but received []"],
  [7, ": expected an object but received 7"],
  [{ ...choices, query: 1 }, ": query: expected a string but received 1"],
  [{ ...choices, query: undefined }, ": query: expected a string but received nothing"],
  [{ ...choices, choices: [" a"] }, ': choices: expected 2 or more strings but received [" a"]'],
  [{ ...choices, choices: [" a", 2] }, ': choices: expected an array of strings but received [" a",2]'],
  [{ ...choices, choices: [" a", ""] }, ': choices: expected choices with text but received [" a",""]'],
  [{ ...choices, gold: 2 }, ": gold: expected the index of one of 2 choices, from 0 but received 2"],
  [{ ...choices, gold: "1" }, ': gold: expected the index of one of 2 choices, from 0 but received "1"'],
  [{ ...contexts, gold: -1 }, ": gold: expected the index of one of 2 contexts, from 0 but received -1"],
  [{ ...contexts, continuation: "" }, ': continuation: expected a text but received ""'],
  [{ query: "q" }, ": continuation: expected a string but received nothing"],
  [{ ...single, task: "" }, ': task: expected a name but received ""'],
])("names the line and the key of %j", async (wrong, message) => {
  writeFileSync(path("items.jsonl"), `${JSON.stringify(single)}\n${JSON.stringify(wrong)}\n`);
  const read = readItems(path("items.jsonl"), true);
  await expect(read).rejects.toBeInstanceOf(DataError);
  await expect(read).rejects.toThrow(`items.jsonl:2${message}`);
});

it("names what is no JSONL", async () => {
  await expect(readItems(path("none.jsonl"), true)).rejects.toThrow(
    /none\.jsonl: expected JSONL but received a file that/,
  );
  writeFileSync(path("empty.jsonl"), "\n");
  await expect(readItems(path("empty.jsonl"), true)).rejects.toThrow(/empty\.jsonl: expected at least one item/);
  writeFileSync(path("cut.jsonl"), '{"query": "a"');
  await expect(readItems(path("cut.jsonl"), true)).rejects.toThrow(/cut\.jsonl:1: expected/);
});
