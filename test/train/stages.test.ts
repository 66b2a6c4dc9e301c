/** Runs of more than two stages, of steps that cost the same, and of recipes. */
import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { resolveStages } from "../../lib/config/stages.js";
import type { BackendName } from "../../lib/native.js";
import { stepFlops } from "../../lib/nn/flops.js";
import { planItems, planRun } from "../../lib/train/memory_plan.js";
import { backends, open } from "../support/backends.js";
import { tinyConfig, writeTinyData } from "../support/made_comparison.js";
import { computed, runTo } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeTinyData(path()));

/** K falls from 8 to 1, two steps of 64 positions each, with one schedule and one optimizer state. */
const falling = {
  stages: [
    { patchSize: 8, fraction: 0.25, of: "steps" },
    { patchSize: 4, fraction: 0.25, of: "steps" },
    { patchSize: 2, fraction: 0.25, of: "steps" },
    { patchSize: 1 },
  ],
  batch: { positionsPerStep: 64, sequenceLength: 8 },
  train: { steps: 8 },
  schedule: { warmupSteps: 1, perStage: false },
  keepOptimizer: true,
};
let runs = 0;
const out = () => path(`run${runs++}`);

describe.each(backends)("K = 8, 4, 2, 1 on %s", (device) => {
  const config = (on: BackendName = device) => tinyConfig(path(), on, { ...falling, out: out() });

  it("trains through all stages to the CPU's losses, to the same bits where it is broken off", async () => {
    const whole = config();
    const lines = await runTo(whole);
    expect(lines.map(({ stage, patchSize }) => [stage, patchSize])).toEqual(
      [8, 8, 4, 4, 2, 2, 1, 1].map((patchSize, index) => [Math.floor(index / 2), patchSize]),
    );
    expect(lines.map(({ tokens }) => tokens / 64)).toEqual([8, 16, 20, 24, 26, 28, 29, 30]);
    expect(lines.map(({ positions }) => positions / 64)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const rates = lines.map(({ lr }) => lr / 0.02);
    expect(rates[0]).toBe(1);
    expect([...rates].sort((a, b) => b - a)).toEqual(rates);
    expect(rates[7]).toBeCloseTo(0, 12);
    // Every stage ends with an evaluation, all on the same held-out tokens.
    expect(lines.filter(({ valLoss }) => valLoss !== undefined).map(({ step }) => step)).toEqual([2, 4, 6, 8]);
    expect(lines[7]!.valLoss).toBeLessThan(lines[1]!.valLoss!);
    if (device !== "cpu") {
      const onCpu = await runTo(config("cpu"));
      lines.forEach(({ loss }, index) => expect(Math.abs(loss / onCpu[index]!.loss - 1)).toBeLessThan(1e-4));
    }

    // At a boundary, inside a stage, and at another boundary.
    const broken = config();
    const parts = [await runTo(broken, { until: 2 })];
    for (const until of [5, 6, 8]) parts.push(await runTo(broken, { resume: true, until }));
    expect(computed(parts.flat())).toEqual(computed(lines));
    const model = (folder: string) => readFileSync(`${folder}/model/model.safetensors`);
    expect(model(broken.out).equals(model(whole.out))).toBe(true);
  });
});

describe("a run's recipe", () => {
  const train = (changes: Record<string, unknown>) => runTo(tinyConfig(path(), "cpu", { ...changes, out: out() }));

  it("paper: the bits of the config that spells it out", async () => {
    const spelled = await train({ stages: [{ patchSize: 4, fraction: 0.6667 }, { patchSize: 1 }] });
    expect(computed(await train({ recipe: "paper", stages: undefined }))).toEqual(computed(spelled));
  });

  it("superposition: goes on with its schedule and its moments after the patches", async () => {
    const recipe = { recipe: "superposition", stages: undefined, schedule: { warmupSteps: 1 }, train: { steps: 10 } };
    const lines = await train(recipe);
    expect(lines.map(({ patchSize }) => patchSize)).toEqual([4, 4, 4, 1, 1, 1, 1, 1, 1, 1]);
    expect(lines[3]!.lr).toBeLessThan(lines[2]!.lr);
    const reset = await train({ ...recipe, keepOptimizer: false });
    const losses = (run: typeof lines) => run.map(({ loss }) => loss); // each before its step's update
    expect(losses(reset).slice(0, 4)).toEqual(losses(lines).slice(0, 4));
    expect(losses(reset)[4]).not.toBe(losses(lines)[4]);
  });
});

describe("positionsPerStep", () => {
  it("needs the memory of a token-level run but for what is kept for each token", () => {
    const itemsOf = (changes: Record<string, unknown>) => {
      const config = tinyConfig(path(), "cpu", changes);
      const stages = resolveStages(config, 0, (step) => stepFlops(config.model!, step));
      const model = { config: config.model!, dtype: "f32", recompute: "none" } as const;
      return planItems(open("cpu"), planRun(open("cpu"), model, stages, null));
    };
    const patches = itemsOf(falling);
    const tokens = itemsOf({ ...falling, stages: [{ patchSize: 1 }] });
    const bytes = (items: typeof patches, name: RegExp) => items.find((item) => name.test(item.name))!.bytes;
    expect(bytes(patches, /^tokens of a step/)).toBe(8 * bytes(tokens, /^tokens of a step/));
    for (const name of [/^activations of/, /^AdamW/]) {
      expect([name, bytes(patches, name)]).toEqual([name, bytes(tokens, name)]);
    }
  });
});
