/** What a comparison tests its final models for: active neurons, and tasks. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { compare } from "../../lib/compare/compare.js";
import type { CompareOptions } from "../../lib/compare/options.js";
import { prepareDataset } from "../../lib/data/prepare.js";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import { ConfigError, DataError } from "../../lib/errors.js";
import { activations } from "../../lib/evaluate/activations.js";
import type { ScoreItem } from "../../lib/evaluate/items.js";
import { score } from "../../lib/evaluate/score.js";
import { Llama } from "../../lib/nn/llama.js";
import { tinyConfig, tinyModel, writeTinyData } from "../support/made_comparison.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

const animals = ["cat", "dog", "owl", "elk"];
const quiz: ScoreItem[] = animals.map((animal, gold) => ({
  query: `What is it? A ${animal}: it is the`,
  choices: animals.map((other) => ` ${other}`),
  gold,
}));
const cloze: ScoreItem[] = animals.map((animal) => ({ query: `A ${animal} saw`, continuation: " the owl" }));

function writeItems(name: string, items: readonly ScoreItem[]): string {
  writeFileSync(path(name), items.map((item) => `${JSON.stringify(item)}\n`).join(""));
  return path(name);
}

beforeEach(async () => {
  const documents = Array.from({ length: 40 }, (_, d) =>
    `A ${animals[d % 4]} saw the ${animals[(d * 3) % 4]}. `.repeat(4),
  );
  writeFileSync(path("text.jsonl"), documents.map((text) => JSON.stringify({ text })).join("\n"));
  const options = { files: [path("text.jsonl")], trainTokenizerVocab: 270, valFraction: 0.2 };
  await prepareDataset({ ...options, out: path("data") });
});

const data = () => ({ train: path("data/train_*.bin"), val: path("data/val_*.bin") });
const made = (options: CompareOptions = {}) =>
  compare(tinyConfig(path(), "cpu", { model: { ...tinyModel, vocab_size: 270 }, data: data() }), options);

describe("a comparison's final models", () => {
  it("have the scores and the active neurons that they have by themselves", async () => {
    const files = [writeItems("quiz.jsonl", quiz), writeItems("cloze.jsonl", cloze)];
    const notes: string[] = [];
    const { comparison, files: pages } = await made({
      tasks: files,
      onProgress: ({ done, total, note }) => {
        expect(done).toBeLessThanOrEqual(total);
        notes.push(note);
      },
    });
    const tokenizer = await Tokenizer.fromFile(path("data/tokenizer.json"));
    const items = [...quiz.map((item) => ({ ...item, task: "quiz" })), ...cloze.map((i) => ({ ...i, task: "cloze" }))];
    for (const [name, run] of [
      ["baseline", comparison.baseline],
      ["patch", comparison.patch],
    ] as const) {
      using model = await Llama.load(path(`run/${name}/seed-1/model`), { device: "cpu", precision: "fp32" });
      expect(run.tasks).toEqual((await score(model, tokenizer, items)).tasks);
      expect(run.activations).toEqual(await activations(model, { data: data().val, sequenceLength: 8 }));
      expect(run.bitsPerByte).toBeGreaterThan(0);
    }
    expect(comparison.baseline.activations).not.toEqual(comparison.patch.activations);
    expect(JSON.parse(readFileSync(pages.json, "utf8"))).toEqual(comparison);
    expect(readFileSync(pages.html, "utf8")).toContain("<th>quiz: acc_norm</th>");
    expect(notes.find((note) => note.includes("scoring"))).toMatch(/^run 1\/2: token-level \| scoring token \d+\/\d+$/);
  });

  it("are tested once, and again for other tasks or after another training", async () => {
    const tasks = [writeItems("quiz.jsonl", quiz)];
    const scored: string[] = [];
    const onProgress: CompareOptions["onProgress"] = ({ note }) => {
      if (note.includes("scoring")) scored.push(note.split(" | ")[0]!);
    };
    const bare = (await made({ onProgress })).comparison;
    expect(bare.baseline).not.toHaveProperty("tasks");
    expect(scored).toEqual([]);
    const both = ["run 1/2: token-level", "run 2/2: K = 4, fraction 0.6667"];
    const first = (await made({ tasks, onProgress })).comparison;
    expect([...new Set(scored.splice(0))]).toEqual(both);
    expect((await made({ tasks, onProgress })).comparison).toEqual(first);
    expect((await made({ onProgress })).comparison).toEqual(bare);
    expect((await made({ tasks, onProgress })).comparison).toEqual(first);
    expect(scored).toEqual([]);
    writeItems("quiz.jsonl", quiz.slice(1));
    expect((await made({ tasks, onProgress })).comparison.patch.tasks!.quiz!.items).toBe(3);
    expect([...new Set(scored.splice(0))]).toEqual(both);
    for (const name of ["metrics.jsonl", "metrics.thinned.json", "latest", "checkpoints"]) {
      rmSync(path(`run/patch/seed-1/${name}`), { recursive: true, force: true });
    }
    await made({ tasks, onProgress });
    expect([...new Set(scored)]).toEqual(both.slice(1));
    rmSync(path("run/patch/seed-1/metrics.jsonl"));
    await expect(made()).rejects.toThrow(
      /patch\/seed-1\/metrics\.jsonl: expected the evaluations of a finished run but received none/,
    );
  });

  it("go on to be scored where that was broken off", async () => {
    const tasks = [writeItems("quiz.jsonl", quiz)];
    const abort = new AbortController();
    const onProgress: CompareOptions["onProgress"] = ({ note }) => {
      if (note.includes("step 12/12")) abort.abort();
    };
    await expect(made({ tasks, onProgress, signal: abort.signal })).rejects.toThrow(
      "interrupted while the run token-level was tested",
    );
    expect(existsSync(path("run/patch/seed-1"))).toBe(false);
    expect((await made({ tasks })).comparison.baseline.tasks!.quiz!.items).toBe(4);
  });
});

describe("tasks that cannot be scored", () => {
  it("are told before anything runs", async () => {
    const mixed = writeItems("mixed.jsonl", [quiz[0]!, cloze[0]!]);
    await expect(made({ tasks: [mixed] })).rejects.toThrow(
      /mixed\.jsonl:2: expected "choices", as in the items before it, but received "continuation"$/,
    );
    await expect(made({ tasks: [path("none.jsonl")] })).rejects.toThrow(DataError);
    await expect(made({ tasks: [] })).rejects.toThrow("compare: tasks: expected an array of 1 or more strings but");
    await writeTinyData(path());
    const bare = compare(tinyConfig(path(), "cpu"), { tasks: [writeItems("quiz.jsonl", quiz)] });
    await expect(bare).rejects.toThrow(ConfigError);
    await expect(bare).rejects.toThrow("tasks: expected data with its tokenizer.json beside it, to score tasks, but");
    expect(existsSync(path("run"))).toBe(false);
  });
});
