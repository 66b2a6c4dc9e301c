import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "@jest/globals";
import { stringify } from "yaml";
import { loadRunConfig, parseRunConfig } from "../../lib/config/config.js";
import { type CountFlops, resolveStages } from "../../lib/config/stages.js";
import type { ConfigError } from "../../lib/errors.js";
import { stepFlops } from "../../lib/nn/flops.js";
import { configHash } from "../../lib/train/config_hash.js";

const base = {
  name: "r",
  model: { preset: "tiny" },
  data: { train: "train.bin" },
  batch: { tokensPerStep: 8192, sequenceLength: 128 },
  train: { steps: 1000 } as object,
};
const parse = (change: object = {}) => parseRunConfig({ ...base, ...change }, "c");
const problemsOf = (change: object): readonly string[] => {
  try {
    parse(change);
    return [];
  } catch (error) {
    return (error as ConfigError).problems;
  }
};

describe("recipe: paper", () => {
  const spelled = {
    stages: [{ patchSize: 4, fraction: 0.6667 }, { patchSize: 1 }],
    schedule: { type: "cosine", perStage: true },
    keepOptimizer: false,
  };

  it("is the config that spells it out, to the hash", () => {
    expect(parse({ recipe: "paper" })).toEqual(parse(spelled));
    expect(configHash(parse({ recipe: "paper" }))).toBe(configHash(parse({ stages: spelled.stages })));
  });

  it("counts the step in tokens, whichever way it is given", () => {
    const batch = { positionsPerStep: 8192, sequenceLength: 128 };
    expect(parse({ recipe: "paper", batch })).toEqual(parse(spelled));
  });
});

describe("recipe: superposition", () => {
  it("is the config that spells it out", () => {
    const spelled = parse({
      stages: [{ patchSize: 4, fraction: 0.3, of: "steps" }, { patchSize: 1 }],
      batch: { positionsPerStep: 8192, sequenceLength: 128 },
      schedule: { perStage: false },
      keepOptimizer: true,
    });
    expect(parse({ recipe: "superposition" })).toEqual(spelled);
    const batch = { positionsPerStep: 8192, sequenceLength: 128 };
    expect(parse({ recipe: "superposition", batch })).toEqual(spelled);
  });

  it("costs what the token-level run costs, every step the same, on more text", () => {
    const config = parse({ recipe: "superposition" });
    const countFlops: CountFlops = (step) => stepFlops(config.model!, step);
    const cost = (change: object) =>
      resolveStages(parse(change), 0, countFlops).reduce((sum, stage) => sum + stage.steps * countFlops(stage), 0);
    const stages = resolveStages(config, 0);
    expect(stages.map(({ steps, tokens, positionsPerStep }) => [steps, tokens, positionsPerStep])).toEqual([
      [300, 300 * 4 * 8192, 8192],
      [700, 700 * 8192, 8192],
    ]);
    const baseline = cost({ stages: [{ patchSize: 1 }] });
    expect(Math.abs(cost({ recipe: "superposition" }) / baseline - 1)).toBeLessThan(1e-3);
    for (const stage of stages) expect(Math.abs((countFlops(stage) * 1000) / baseline - 1)).toBeLessThan(1e-3);
  });

  it("has one schedule and one optimizer state", () => {
    const stages = resolveStages(parse({ recipe: "superposition", schedule: { type: "wsd" } }), 0);
    expect(
      stages.map(({ schedule, scheduleFirstStep, scheduleSteps }) => [schedule.type, scheduleFirstStep, scheduleSteps]),
    ).toEqual([
      ["wsd", 0, 1000],
      ["wsd", 0, 1000],
    ]);
    expect(stages.map(({ keepOptimizer }) => keepOptimizer)).toEqual([false, true]);
  });
});

describe("keys beside a recipe", () => {
  it("win, stages as a whole and those of the schedule one by one", () => {
    const stages = [{ patchSize: 2, fraction: 0.1, of: "steps" }, { patchSize: 1 }];
    const config = parse({ recipe: "superposition", stages, keepOptimizer: false, schedule: { warmupSteps: 7 } });
    expect(config.stages).toEqual(stages);
    expect(config).toMatchObject({ keepOptimizer: false, schedule: { warmupSteps: 7, perStage: false } });
    expect(config.batch).toMatchObject({ positionsPerStep: 8192 });
    expect(parse({ recipe: "superposition", schedule: { perStage: true } }).schedule.perStage).toBe(true);
  });

  it("are checked as if the recipe were spelled out", () => {
    expect(problemsOf({ recipe: "papr" })).toEqual(['c: recipe: expected paper or superposition but received "papr"']);
    expect(problemsOf({ recipe: "superposition", schedule: 3 })).toEqual([
      "c: schedule: expected a section of keys but received 3",
    ]);
    expect(problemsOf({ recipe: "superposition", batch: { tokensPerStep: "8k", sequenceLength: 128 } })).toEqual([
      'c: batch.tokensPerStep: expected a number but received "8k"',
    ]);
    expect(
      problemsOf({ recipe: "superposition", batch: { tokensPerStep: 64, positionsPerStep: 64, sequenceLength: 64 } }),
    ).toEqual(["c: batch: expected exactly one of tokensPerStep or positionsPerStep but received both"]);
    expect(problemsOf({ recipe: "superposition", batch: { tokensPerStep: 1000, sequenceLength: 128 } })).toEqual([
      "c: batch.positionsPerStep: expected a multiple of sequenceLength 128 but received 1000; nearest that works: 1024 " +
        "(recipe superposition takes batch.tokensPerStep for it)",
    ]);
  });
});

describe("a config file with a recipe", () => {
  const folder = mkdtempSync(join(tmpdir(), "nextpatch-recipes-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "c.yaml");

  it("tells the keys that the recipe comes to", async () => {
    writeFileSync(path, stringify({ ...base, schedule: { type: "wsd", warmupSteps: 9 } }));
    const said: string[] = [];
    const log = (message: string) => said.push(message);
    await loadRunConfig(path, { log });
    expect(said).toEqual([]);
    await loadRunConfig(path, { set: ["recipe=superposition"], log });
    expect(said).toEqual([
      [
        "recipe superposition:",
        "  stages: [ { patchSize: 4, fraction: 0.3, of: steps }, { patchSize: 1 } ]",
        "  batch: { positionsPerStep: 8192, sequenceLength: 128, microBatch: auto }",
        "  schedule: { type: wsd, warmupSteps: 9, minLrRatio: 0, perStage: false }",
        "  keepOptimizer: true",
      ].join("\n"),
    ]);
  });

  it("lets --set change a key of one of the recipe's stages", async () => {
    writeFileSync(path, stringify({ ...base, recipe: "superposition" }));
    const { stages } = await loadRunConfig(path, { set: ["stages.0.patchSize=2"] });
    expect(stages).toEqual([{ patchSize: 2, fraction: 0.3, of: "steps" }, { patchSize: 1 }]);
    expect(parse({ recipe: "superposition" }).stages[0]!.patchSize).toBe(4);
    const paper = await loadRunConfig(path, { set: ["stages.0.fraction=0.5", "recipe=paper"] });
    expect(paper.stages).toEqual([{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }]);
  });
});
