/** What a comparison says of its final models besides their loss: cloze items, samples, and the model before. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { compare } from "../../lib/compare/compare.js";
import { differencesOf } from "../../lib/compare/differences.js";
import type { CompareOptions } from "../../lib/compare/options.js";
import type { SeedResult } from "../../lib/compare/run_result.js";
import { prepareDataset } from "../../lib/data/prepare.js";
import { cloze } from "../../lib/evaluate/cloze.js";
import { Llama } from "../../lib/nn/llama.js";
import { tinyConfig, tinyModel } from "../support/made_comparison.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const animals = ["cat", "dog", "owl", "elk"];

beforeEach(async () => {
  const documents = Array.from({ length: 60 }, (_, d) =>
    Array.from({ length: 6 }, (_, s) => `The ${animals[(d * s + d) % 4]} number ${(d * 7 + s * 5) % 50} ran.`).join(
      " ",
    ),
  );
  writeFileSync(path("text.jsonl"), documents.map((text) => JSON.stringify({ text })).join("\n"));
  const options = { files: [path("text.jsonl")], trainTokenizerVocab: 270, valFraction: 0.2 };
  await prepareDataset({ ...options, out: path("data") });
});

const config = (changes: Record<string, unknown> = {}) =>
  tinyConfig(path(), "cpu", {
    model: { ...tinyModel, vocab_size: 270 },
    data: { train: path("data/train_*.bin"), val: path("data/val_*.bin") },
    ...changes,
  });
const made = (options: CompareOptions = {}, changes: Record<string, unknown> = {}) => compare(config(changes), options);

describe("a comparison's final models", () => {
  it("answer the same cloze items, and continue the same texts", async () => {
    const { comparison, files } = await made();
    const { baseline, patch } = comparison;
    using model = await Llama.load(path("run/patch/seed-1/model"), { device: "cpu", precision: "fp32" });
    expect(patch.cloze).toEqual(await cloze(model, { data: path("data/val_*.bin"), sequenceLength: 8 }));
    const { items, choices, chance, accuracy, standardError } = patch.cloze!;
    expect([choices, chance]).toEqual([4, 0.25]);
    expect(standardError).toBeCloseTo(Math.sqrt((accuracy * (1 - accuracy)) / (items - 1)), 12);
    expect(baseline.cloze!.items).toBe(items);
    expect(comparison.differences.clozeAccuracy!.mean).toBeCloseTo(accuracy - baseline.cloze!.accuracy, 12);
    expect(patch.samples!.map(({ prompt, heldOut }) => [prompt, heldOut])).toEqual(
      baseline.samples!.map(({ prompt, heldOut }) => [prompt, heldOut]),
    );
    const text = readFileSync(path("text.jsonl"), "utf8");
    for (const { prompt, heldOut } of patch.samples!) expect(text).toContain(prompt + heldOut);
    const markdown = readFileSync(files.markdown, "utf8");
    expect(markdown).toContain("Cloze accuracy");
    expect(markdown).toContain(patch.samples![0]!.heldOut.trim());
  });

  it("are compared with the model that all runs continue, which is named", async () => {
    await made();
    const init = { from: path("run/baseline/seed-1/model") };
    const changes = { init, model: undefined, out: path("continued") };
    const { comparison, files } = await made({ recipes: ["superposition"] }, { ...changes, stages: undefined });
    const first = await made();
    expect(comparison.start!.valLoss).toBe(first.comparison.baseline.valLoss);
    expect(comparison.start!.cloze).toEqual(first.comparison.baseline.cloze);
    expect(comparison.baseline.valLoss).not.toBe(comparison.start!.valLoss);
    expect(comparison.ratio.flops).toBeCloseTo(1, 2);
    expect(readFileSync(files.markdown, "utf8")).toContain("the model before");
  });

  it("are tested again where their record is of before, and only then", async () => {
    const first = await made();
    const file = path("run/patch/seed-1/evaluation.json");
    const before = readFileSync(file, "utf8");
    const record = JSON.parse(before) as Record<string, unknown>;
    delete record.cloze;
    delete record.samples;
    writeFileSync(file, `${JSON.stringify(record)}\n`);
    const second = await made();
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(JSON.parse(before));
    expect(second.comparison).toEqual(first.comparison);
    rmSync(path("run/patch/seed-1/model"), { recursive: true });
    expect((await made()).comparison).toEqual(first.comparison);
  });
});

describe("differencesOf", () => {
  const run = (seed: number, more: Partial<SeedResult>): SeedResult =>
    ({ seed, valLoss: 1, seconds: 1, energy: null, environments: [0], activeNeurons: 0.1, ...more }) as SeedResult;

  it("pairs the runs by seed, and leaves out what one of them has not", () => {
    const baseline = { runs: [run(1, { bitsPerByte: 2, clozeAccuracy: 0.5 }), run(2, { bitsPerByte: 3 })] };
    const arm = { runs: [run(1, { bitsPerByte: 1, clozeAccuracy: 0.7 }), run(2, { bitsPerByte: 2.5 })] };
    const { bitsPerByte, activeNeurons, clozeAccuracy } = differencesOf(arm, baseline);
    expect(bitsPerByte).toMatchObject({ mean: -0.75, paired: { n: 2, se: 0.25 } });
    expect(activeNeurons.mean).toBe(0);
    expect(clozeAccuracy).toBeUndefined();
  });
});
