import { beforeEach, describe, expect, it } from "@jest/globals";
import { flopsAt } from "../../lib/compare/arm.js";
import { differences } from "../../lib/compare/derive.js";
import { combinations, parseSweep } from "../../lib/compare/sweep.js";
import { ConfigError } from "../../lib/errors.js";
import { planComparison } from "../support/comparison_plan.js";
import { tinyConfig, tinyModel, writeTinyData } from "../support/made_comparison.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeTinyData(path()));
const config = (changes: Record<string, unknown> = {}) => tinyConfig(path(), "cpu", changes);

describe("planComparison", () => {
  it("plans a baseline on the staged run's tokens that differs in nothing but its stages", async () => {
    const { baseline, patch, arms, equalCost, sweep } = await planComparison(config());
    expect(arms).toEqual([baseline, patch]);
    expect({ equalCost, sweep }).toEqual({ equalCost: null, sweep: [] });
    expect(baseline.config).toEqual({
      ...patch.config,
      name: "tiny: token-level",
      out: path("run/baseline/seed-1"),
      stages: [{ patchSize: 1 }],
      train: { tokens: 768 },
      data: { ...patch.config.data, shuffleTokens: 32 },
    });
    expect(patch.config).toEqual({ ...config(), name: patch.config.name, out: path("run/patch/seed-1") });
    expect(patch).toMatchObject({ patchSize: 4, fraction: 0.6667, steps: 12, tokens: 768 });
    expect(patch.stages.map(({ steps }) => steps)).toEqual([8, 4]);
  });

  it.each([
    { train: { steps: 12 } },
    { train: { epochs: 1.1 } },
    { train: { tokens: 768 } },
    {
      stages: [
        { patchSize: 4, fraction: 0.5 },
        { patchSize: 1, fraction: 0.25 },
      ],
    },
  ])("gives both runs the same tokens: $train $stages", async (changes) => {
    const { baseline, patch } = await planComparison(config(changes));
    expect(baseline.tokens).toBe(patch.tokens);
  });

  it("costs lambda/K + 1 - lambda of the baseline", async () => {
    for (const [patchSize, fraction] of [
      [2, 0.25],
      [4, 0.5],
      [8, 0.75],
    ] as const) {
      const stages = [{ patchSize, fraction }, { patchSize: 1 }];
      const { baseline, patch } = await planComparison(config({ stages }));
      expect(Math.abs(patch.flops / baseline.flops - (fraction / patchSize + 1 - fraction))).toBeLessThan(0.005);
    }
  });

  it("counts FLOPs step by step as in all", async () => {
    const { patch } = await planComparison(config());
    const [first, second] = patch.stepFlops;
    expect([0, 1, 8, 9, 12].map((step) => flopsAt(patch, step))).toEqual([
      0,
      first!,
      8 * first!,
      8 * first! + second!,
      patch.flops,
    ]);
  });

  it("counts the FLOPs of the parts: of all positions, but of the embedding of all tokens", async () => {
    const { baseline, patch } = await planComparison(config());
    // Width 32, intermediate 32, one head of 32 in one layer, vocabulary 32; (8 + 1) / 2 positions are seen.
    const perPosition = { transformer: 2 * 32 * (4 * 32 + 3 * 32) + 4 * 32 * 4.5, head: 2 * 32 * 32 };
    const parts = (positions: number) => ({
      embedding: 768 * 32,
      transformer: positions * perPosition.transformer,
      head: positions * perPosition.head,
    });
    expect(baseline.partFlops).toEqual(parts(768));
    expect(patch.partFlops).toEqual(parts((8 * 64) / 4 + 4 * 64));
    for (const { partFlops, flops } of [baseline, patch]) {
      expect(2 * partFlops.embedding + 3 * (partFlops.transformer + partFlops.head)).toBe(flops);
    }
  });

  it.each([
    { stages: [{ patchSize: 4, fraction: 0.6667 }, { patchSize: 1 }] },
    { stages: [{ patchSize: 8, fraction: 0.9 }, { patchSize: 1 }] },
    { stages: [{ patchSize: 2, fraction: 0.1 }, { patchSize: 1 }] },
    {
      stages: [
        { patchSize: 4, batch: { tokensPerStep: 128 } },
        { patchSize: 1, fraction: 0.4 },
      ],
    },
  ])("at equal cost has as many FLOPs as the baseline, within a step: $stages", async ({ stages }) => {
    const { baseline, patch, equalCost } = await planComparison(config({ stages, train: { tokens: 6400 } }), {
      equalCost: true,
    });
    expect(Math.abs(equalCost!.flops - baseline.flops)).toBeLessThanOrEqual(Math.max(...patch.stepFlops));
    expect(equalCost!.config).toEqual({
      ...patch.config,
      name: equalCost!.config.name,
      out: path("run/equal-cost/seed-1"),
      train: equalCost!.config.train,
    });
  });

  it("plans every combination of a sweep on the same tokens, the config's own only once", async () => {
    const plan = await planComparison(config(), { sweep: { patchSize: [2, 4, 8], fraction: [0.5, 0.6667] } });
    expect(plan.sweep.map(({ patchSize, fraction }) => [patchSize, fraction])).toEqual([
      [2, 0.5],
      [2, 0.6667],
      [4, 0.5],
      [4, 0.6667],
      [8, 0.5],
      [8, 0.6667],
    ]);
    expect(plan.sweep[3]).toBe(plan.patch);
    expect(plan.arms).toHaveLength(7);
    expect(new Set(plan.arms.map((arm) => arm.config.out)).size).toBe(7);
    for (const arm of plan.arms) expect(arm.tokens).toBe(768);
    expect(plan.sweep[0]!.config).toMatchObject({
      out: path("run/sweep/k2-fraction0.5/seed-1"),
      stages: [{ patchSize: 2, fraction: 0.5 }, { patchSize: 1 }],
    });
    // Shuffled like the baseline wherever a longer block does not forbid it.
    expect(plan.sweep.map((arm) => arm.config.data.shuffleTokens ?? "own")).toEqual([32, 32, 32, "own", 64, 64]);
  });

  it("takes any number of stages, the last one token-level", async () => {
    const stages = [
      { patchSize: 8, fraction: 0.25 },
      { patchSize: 4, fraction: 0.25 },
      { patchSize: 2, fraction: 0.25 },
      { patchSize: 1 },
    ];
    const plan = await planComparison(config({ stages, train: { tokens: 1280 } }), { equalCost: true });
    const { baseline, patch, equalCost } = plan;
    expect(patch).toMatchObject({ label: "K = 8, 4, 2, fractions 0.25, 0.25, 0.25", patchSize: 8, fraction: 0.25 });
    expect(patch.stageCosts.map(({ steps, tokens }) => [steps, tokens])).toEqual([5, 5, 5, 5].map((n) => [n, 64 * n]));
    expect(baseline.tokens).toBe(patch.tokens);
    expect(baseline.config.data.shuffleTokens).toBe(64);
    expect(Math.abs(patch.flops / baseline.flops - (1 / 8 + 1 / 4 + 1 / 2 + 1) / 4)).toBeLessThan(0.005);
    expect(Math.abs(equalCost!.flops - baseline.flops)).toBeLessThanOrEqual(patch.stepFlops[0]!);
    const sweep = { fraction: [0.5] };
    await expect(planComparison(config({ stages }), { sweep })).rejects.toThrow(
      /stages: expected two for a sweep but received patchSize 8, then 4, then 2, then 1$/,
    );
  });

  it("of the recipe superposition has runs whose steps all cost the same, on more text", async () => {
    const changes = { recipe: "superposition", stages: undefined, schedule: {}, train: { steps: 1000 } };
    // Averaging embeddings is a smaller part of a model that is a little larger.
    const model = { ...tinyModel, hidden_size: 64, intermediate_size: 176, num_hidden_layers: 3, vocab_size: 1024 };
    const { baseline, patch, equalCost } = await planComparison(config({ ...changes, model }), { equalCost: true });
    expect(patch).toMatchObject({ label: "K = 4, fraction 0.3 of steps", steps: 1000, tokens: (300 * 4 + 700) * 64 });
    expect([baseline.tokens, baseline.steps]).toEqual([patch.tokens, 1900]);
    expect(equalCost!.stages.map(({ steps, scheduleSteps }) => [steps, scheduleSteps])).toEqual([
      [570, 1900],
      [1330, 1900],
    ]);
    expect(Math.abs(equalCost!.flops / baseline.flops - 1)).toBeLessThan(1e-3);
    for (const flops of equalCost!.stepFlops) {
      expect(Math.abs(flops / baseline.stepFlops[0]! - 1)).toBeLessThan(1e-3);
    }
  });

  it.each([
    { changes: { stages: [{ patchSize: 1 }] }, says: /stages: expected two.*but received patchSize 1$/ },
    {
      changes: { stages: [{ patchSize: 1, fraction: 0.5 }, { patchSize: 4 }] },
      says: /stages: expected two.*but received patchSize 1, then 4$/,
    },
    {
      changes: { stages: [{ patchSize: 8, fraction: 0.5 }, { patchSize: 4 }] },
      says: /stages: expected two or more, the first with .* the last with patchSize 1, .* but received patchSize 8, then 4$/,
    },
    {
      changes: { stages: [{ patchSize: 8, steps: 2 }, { patchSize: 1 }] },
      says: /stages\[0\]\.steps: expected a fraction, as the runs .* but received steps$/,
    },
    {
      changes: { data: { train: "TRAIN" }, eval: undefined },
      says: /data\.val: expected held-out data, as a comparison needs it, but received nothing/,
    },
    {
      changes: {
        stages: [{ patchSize: 32, fraction: 0.5 }, { patchSize: 1 }],
        train: { steps: 4 },
        batch: { tokensPerStep: 1024, sequenceLength: 32 },
      },
      says: /data\.train: expected at least 1024 tokens .* but received 700$/,
    },
  ])("refuses $changes", async ({ changes, says }) => {
    const wrong = JSON.parse(JSON.stringify(changes).replace("TRAIN", path("train.bin"))) as Record<string, unknown>;
    if ("eval" in changes) wrong.eval = undefined;
    const planned = planComparison(config(wrong));
    await expect(planned).rejects.toThrow(ConfigError);
    await expect(planned).rejects.toThrow(says);
  });

  it.each([
    { sweep: { patchSize: [3] }, says: /^K = 3, fraction 0\.6667: batch\.tokensPerStep: expected a multiple of / },
    { sweep: { fraction: [0.01] }, says: /stages\[0\]: expected a share of at least one step of 64 tokens/ },
  ])("refuses a sweep that cannot run: $sweep", async ({ sweep, says }) => {
    const planned = planComparison(config(), { sweep });
    await expect(planned).rejects.toThrow(ConfigError);
    await expect(planned).rejects.toThrow(says);
  });
});

describe("parseSweep", () => {
  it("reads values, and combines them in order without repeats", () => {
    const sweep = parseSweep(["patchSize=8,2,2", "fraction=0.5"]);
    expect(sweep).toEqual({ patchSize: [8, 2, 2], fraction: [0.5] });
    const own = { patchSize: 4, fraction: 0.6 };
    expect(combinations(sweep, own)).toEqual([
      { patchSize: 2, fraction: 0.5 },
      { patchSize: 8, fraction: 0.5 },
    ]);
    expect(combinations({ fraction: [0.8] }, own)).toEqual([{ patchSize: 4, fraction: 0.8 }]);
  });

  it.each([
    { texts: ["patchSize=2,x"], says: /texts\[0\]: expected whole numbers from 2.*but received the string "x"$/ },
    { texts: ["patchSize=1"], says: /expected whole numbers from 2.*but received the string "1"$/ },
    { texts: ["patchSize="], says: /expected whole numbers from 2.*but received the string ""$/ },
    { texts: ["fraction=1"], says: /expected numbers between 0 and 1.*but received the string "1"$/ },
    { texts: ["lr=1"], says: /expected patchSize=K,\.\.\. or fraction=F,\.\.\. but received the string "lr=1"$/ },
    { texts: ["patchSize"], says: /expected patchSize=K/ },
    {
      texts: ["fraction=0.5", "fraction=0.6"],
      says: /^parseSweep: texts\[1\]: expected each axis once, all values of fraction in one text/,
    },
  ])("refuses $texts", ({ texts, says }) => {
    expect(() => parseSweep(texts)).toThrow(RangeError);
    expect(() => parseSweep(texts)).toThrow(says);
  });
});

describe("differences", () => {
  it("names the keys that matter with both values", () => {
    const before = JSON.parse(JSON.stringify(config())) as unknown;
    const moved = config({ name: "x", out: path("x"), checkpoint: { everySteps: 1, keep: 9 } });
    expect(differences(before, moved)).toEqual([]);
    const evaluation = { everySteps: 3, sequences: 4 };
    const changed = config({ optimizer: { lr: 0.5 }, seed: 2, init: { seed: 1 }, eval: evaluation });
    expect(differences(before, changed)).toEqual([
      "optimizer.lr: 0.02 before, 0.5 now",
      "seed: 1 before, 2 now",
      "eval.everySteps: 2 before, 3 now",
    ]);
  });
});
