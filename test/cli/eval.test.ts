/** What `eval` computes besides the loss of shards: tasks, texts, active neurons. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "@jest/globals";
import { builtCommand, complaint } from "../support/built.js";
import { writeShard } from "../support/made_run.js";
import { reference, scoringFolder } from "../support/scoring.js";

const nextpatch = builtCommand();
const common = ["--model", "model", "--device", "cpu", "--precision", "fp32"];

function writeItems(name: string, items: readonly object[]): void {
  writeFileSync(nextpatch.path(name), items.map((item) => `${JSON.stringify(item)}\n`).join(""));
}

beforeAll(() => {
  mkdirSync(nextpatch.path("model"));
  for (const file of ["config.json", "model.safetensors"]) {
    copyFileSync(`${scoringFolder}/${file}`, nextpatch.path(`model/${file}`));
  }
  copyFileSync(`${scoringFolder}/bos.json`, nextpatch.path("model/tokenizer.json"));
  writeItems("asked.jsonl", reference.items.choices.slice(0, 20));
  writeItems("more.jsonl", [
    ...reference.items.continuation.slice(0, 10),
    ...reference.items.contexts.slice(0, 5).map((item) => ({ ...item, task: "gaps" })),
  ]);
  writeItems("examples.jsonl", reference.shots.choices);
  writeFileSync(
    nextpatch.path("documents.jsonl"),
    reference.documents.map((text) => `${JSON.stringify({ text })}\n`).join(""),
  );
  writeShard(
    nextpatch.path("tokens.bin"),
    Array.from({ length: 600 }, (_, i) => i % 300),
  );
});

async function result<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await nextpatch("eval", ...common, ...args, "--json");
  // Progress, and that there is no dataset.json.
  const rest = complaint(stderr).replace(/^(eval: |\.: has no dataset\.json).*\n/gm, "");
  expect({ code, stderr: rest }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as T;
}

describe("eval", () => {
  it("scores tasks of several files, and writes each item's log-likelihoods", async () => {
    const { tasks } = await result<{ tasks: Record<string, object> }>(
      ...["--tasks", "asked.jsonl", "more.jsonl", "--out", "items.out.jsonl"],
    );
    expect(Object.keys(tasks)).toEqual(["asked", "more", "gaps"]);
    const keys = ["items", "acc", "acc_stderr", "acc_norm", "acc_norm_stderr", "acc_bytes"];
    expect(Object.keys(tasks.asked!)).toEqual(keys);
    expect(Object.keys(tasks.gaps!)).toEqual(keys);
    expect(Object.keys(tasks.more!)).toEqual(["items", "acc", "acc_stderr", "perplexity"]);
    const lines = readFileSync(nextpatch.path("items.out.jsonl"), "utf8").trimEnd().split("\n");
    const items = lines.map((line) => JSON.parse(line) as { index: number; task: string; logLikelihoods: number[] });
    expect(items.map(({ index }) => index)).toEqual(items.map((_, index) => index));
    expect(items).toHaveLength(35);
    expect(Object.keys(items[0]!)).toEqual(["index", "task", "logLikelihoods", "gold"]);
    for (const [index, values] of reference.results.bos.items.choices.logLikelihoods.slice(0, 20).entries()) {
      for (const [choice, value] of values.entries()) {
        expect(Math.abs(items[index]!.logLikelihoods[choice]! - value)).toBeLessThan(1e-4);
      }
    }
  });

  it("puts examples before the items", async () => {
    const args = ["--tasks", "asked.jsonl", "--shots", "2", "--shots-from", "examples.jsonl", "--out", "shots.out"];
    await result(...args);
    const [first] = readFileSync(nextpatch.path("shots.out"), "utf8").split("\n");
    const { logLikelihoods } = JSON.parse(first!) as { logLikelihoods: number[] };
    for (const [choice, value] of reference.results.bos.shots.choices[0]!.entries()) {
      expect(Math.abs(logLikelihoods[choice]! - value)).toBeLessThan(1e-4);
    }
    const many = await nextpatch("eval", ...common, ...args.map((word) => (word === "2" ? "3" : word)));
    expect(many.code).toBe(1);
    expect(complaint(many.stderr)).toBe(
      'nextpatch: examples.jsonl: expected 3 items of the task "asked" but received 2\n',
    );
  });

  it("scores a file of documents", async () => {
    const scores = await result<Record<string, number>>("--text", "documents.jsonl");
    expect(Object.keys(scores)).toEqual([
      "wordPerplexity",
      "bytePerplexity",
      "bitsPerByte",
      "tokens",
      "bytes",
      "words",
    ]);
    const { wordPerplexity } = reference.results.bos.text[64]!;
    expect(Math.abs(scores.wordPerplexity! / wordPerplexity - 1)).toBeLessThan(1e-6);
    const human = await nextpatch("eval", ...common, "--text", "documents.jsonl", "--stride", "16");
    expect(human.stdout).toMatch(/^perplexity [\d.]+ per word, [\d.]+ per byte \([\d.]+ bits\), over \d+ tokens, /);
  });

  it("counts active neurons", async () => {
    const args = ["--data", "tokens.bin", "--activations", "--patch-size", "4", "--sequence-length", "16"];
    const counted = await result<{ layers: { active: number }[] }>(...args, "--threshold", "0.25");
    expect(counted).toMatchObject({ threshold: 0.25, patchSize: 4 });
    expect(counted.layers).toHaveLength(2);
    for (const { active } of counted.layers) expect(active > 0 && active < 1).toBe(true);
  });

  it.each([
    [[], "eval: expected one of --data, --tasks and --text but received none"],
    [
      ["--text", "a", "--tasks", "b"],
      "eval: expected one of --data, --tasks and --text but received --tasks and --text",
    ],
    [["--tasks", "asked.jsonl", "--shots", "1"], "--shots: expected --shots-from with it but received none"],
    [["--tasks", "asked.jsonl", "--stride", "1"], "--stride: expected --text with it but received none"],
    [
      ["--tasks", "asked.jsonl", "--out", "none/a.jsonl"],
      "--out: expected a file in a folder that can be written to but received none/a.jsonl: none is a folder that does not exist",
    ],
    [["--tasks", "asked.jsonl", "--patch-size", "4"], "--patch-size: expected --data with it but received none"],
    [["--text", "a", "--sequence-length", "8"], "--sequence-length: expected --data with it but received none"],
    [["--data", "tokens.bin", "--threshold", "1"], "--threshold: expected --activations with it but received none"],
    [["--text", "documents.jsonl", "--stride", "65"], "--stride: expected a whole number from 1 to 64 but received 65"],
  ])("refuses %j as wrong usage", async (args, message) => {
    const { code, stdout, stderr } = await nextpatch("eval", ...common, ...args);
    expect({ code, stdout, stderr: complaint(stderr) }).toEqual({
      code: 2,
      stdout: "",
      stderr: `nextpatch: ${message}\n`,
    });
  });

  it("names the file and line of what is no item", async () => {
    writeItems("wrong.jsonl", [
      { query: "a", continuation: " b" },
      { query: "a", choices: [" b", " c"], gold: 2 },
    ]);
    const { code, stderr } = await nextpatch("eval", ...common, "--tasks", "wrong.jsonl");
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: "nextpatch: wrong.jsonl:2: gold: expected the index of one of 2 choices, from 0 but received 2\n",
    });
    writeItems("mixed.jsonl", [
      { query: "a", continuation: " b" },
      { query: "a", choices: [" b", " c"], gold: 0 },
    ]);
    const mixed = await nextpatch("eval", ...common, "--tasks", "mixed.jsonl");
    expect(complaint(mixed.stderr)).toBe(
      'nextpatch: mixed.jsonl:2: expected "continuation", as in the items before it, but received "choices"\n',
    );
  });
});
