/** What a comparison of recipes, with several seeds and with tuned rates, runs. Nothing is trained. */
import { beforeEach, describe, expect, it } from "@jest/globals";
import { makePlan, type PlanOptions, readFacts } from "../../lib/compare/plan.js";
import { planTuning } from "../../lib/compare/tune_runs.js";
import { loadRunConfig } from "../../lib/config/config.js";
import { ConfigError } from "../../lib/errors.js";
import { planComparison } from "../support/comparison_plan.js";
import { tinyConfig, tinyModel, writeTinyData } from "../support/made_comparison.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeTinyData(path()));
/** Long enough for a step to be a thousandth of it, and of a model in which averaging embeddings costs little. */
const long = {
  model: { ...tinyModel, hidden_size: 64, intermediate_size: 176, num_hidden_layers: 3, vocab_size: 1024 },
  train: { steps: 1000 },
};
const config = (changes: Record<string, unknown> = {}) => tinyConfig(path(), "cpu", { stages: undefined, ...changes });

describe("recipes", () => {
  it("are compared with one baseline, as long as the config says, at its FLOPs and where it applies on its tokens", async () => {
    const recipes = ["paper", "superposition"] as const;
    const { baseline, methods, patch, equalCost, arms } = await planComparison(config(long), { recipes });
    const [paper, superposition] = methods;
    expect(baseline).toMatchObject({ steps: 1000, tokens: 64_000 });
    expect(paper!.run).toMatchObject({ tokens: 64_000, steps: 1000, label: "paper" });
    expect(Math.abs(paper!.run.flops / baseline.flops - 0.5)).toBeLessThan(1e-3);
    expect(superposition!.run).toBe(superposition!.equalCost);
    expect(superposition!.run.stages.map(({ steps }) => steps)).toEqual([300, 700]);
    expect(superposition!.run.tokens).toBe((300 * 4 + 700) * 64);
    for (const arm of [paper!.equalCost!, superposition!.run]) {
      expect(Math.abs(arm.flops / baseline.flops - 1)).toBeLessThan(1e-3);
    }
    for (const flops of superposition!.run.stepFlops) {
      expect(Math.abs(flops / baseline.stepFlops[0]! - 1)).toBeLessThan(1e-3);
    }
    expect([patch, equalCost]).toEqual([paper!.run, paper!.equalCost]);
    expect(arms.map(({ runs }) => runs[0]!.config.out.slice(path("run").length))).toEqual([
      "/baseline/seed-1",
      "/paper/seed-1",
      "/paper-equal-cost/seed-1",
      "/superposition/seed-1",
    ]);
    for (const arm of arms) expect(arm.config.data.shuffleTokens).toBe(32);
  });

  it("take the config's other keys, but stages and what else makes up a recipe from the recipe", async () => {
    const own = {
      stages: [{ patchSize: 8, fraction: 0.5 }, { patchSize: 1 }],
      keepOptimizer: true,
      labelWeights: "1/i",
      schedule: { type: "wsd", warmupSteps: 3, perStage: false },
    };
    const { methods, baseline } = await planComparison(config({ ...own, train: { tokens: 1280 } }), {
      recipes: ["superposition", "paper"],
    });
    const [superposition, paper] = methods.map(({ run }) => run.config);
    expect(paper!.stages).toEqual([{ patchSize: 4, fraction: 0.6667 }, { patchSize: 1 }]);
    expect(paper).toMatchObject({ keepOptimizer: false, labelWeights: "1/i", batch: { tokensPerStep: 64 } });
    expect(paper!.schedule).toMatchObject({ type: "wsd", warmupSteps: 3, perStage: true });
    expect(superposition).toMatchObject({ keepOptimizer: true, batch: { positionsPerStep: 64 } });
    expect(superposition!.schedule).toMatchObject({ type: "wsd", warmupSteps: 3, perStage: false });
    expect(baseline.config).toMatchObject({ stages: [{ patchSize: 1 }], train: { tokens: 1280 } });
  });

  it("can be added to a comparison: the baseline is the same, whichever there are", async () => {
    const baselineOf = async (...recipes: ("paper" | "superposition")[]) =>
      (await planComparison(config(long), { recipes })).baseline.config;
    expect(await baselineOf("superposition")).toEqual(await baselineOf("paper", "superposition"));
  });

  it("can be swept, at equal cost if the recipe is", async () => {
    const sweep = { patchSize: [2, 4], fraction: [0.25, 0.3] };
    const plan = await planComparison(config(long), { recipes: ["superposition"], sweep });
    expect(plan.sweep[3]).toBe(plan.patch);
    expect(plan.sweep.map(({ label }) => label)[0]).toBe("superposition, K = 2, fraction 0.25 of steps");
    for (const arm of plan.sweep) {
      expect(Math.abs(arm.flops / plan.baseline.flops - 1)).toBeLessThan(1e-3);
      expect(arm.stages[0]!.steps).toBe(Math.round(arm.fraction * 1000));
    }
    expect(plan.sweep[0]!.config.out).toBe(path("run/sweep/superposition-k2-fraction0.25/seed-1"));
  });

  it("are compared by the example config, which has no stages of its own", async () => {
    const own = await loadRunConfig("examples/compare-mine.yaml");
    expect(own.stages).toEqual([{ patchSize: 1 }]);
    const facts = { ...(await readFacts(config())), shape: own.model!, availableTokens: 1_500_000 };
    const { baseline, methods, parameters } = makePlan(own, facts, { recipes: ["superposition"], seeds: [1, 2, 3] });
    expect(methods[0]!.run.runs).toHaveLength(3);
    expect(Math.abs(methods[0]!.run.flops / baseline.flops - 1)).toBeLessThan(1e-3);
    expect(Math.round(baseline.tokens / parameters)).toBe(46);
  });

  it("are what a config without patches needs", async () => {
    const planned = planComparison(config());
    await expect(planned).rejects.toThrow(ConfigError);
    await expect(planned).rejects.toThrow(/or recipes to compare \(--recipe\), but received patchSize 1$/);
  });
});

describe("seeds", () => {
  it("give every arm a run each, with their own order of the data and first weights", async () => {
    const options: PlanOptions = { recipes: ["superposition"], seeds: [3, 1] };
    const { arms, runs, seeds } = await planComparison(config({ ...long, init: { seed: 7 } }), options);
    expect(seeds).toEqual([3, 1]);
    expect(runs.map(({ label }) => label)).toEqual([
      "token-level, seed 3",
      "superposition, seed 3",
      "token-level, seed 1",
      "superposition, seed 1",
    ]);
    for (const arm of arms) {
      expect(arm.runs.map(({ config }) => [config.seed, config.init])).toEqual([
        [3, { seed: 3 }],
        [1, { seed: 1 }],
      ]);
      const [first, second] = arm.runs.map(({ config: { seed: _, init: _i, name: _n, out: _o, ...rest } }) => rest);
      expect(first).toEqual(second);
      expect(arm.runs.map(({ config }) => config.out.split("/").at(-1))).toEqual(["seed-3", "seed-1"]);
    }
  });

  it("find the run of a comparison with that seed alone", async () => {
    const alone = await planComparison(config(long), { recipes: ["paper"] });
    const several = await planComparison(config(long), { recipes: ["paper"], seeds: [1, 2] });
    for (const [index, arm] of alone.arms.entries()) {
      const { name: _, ...found } = several.arms[index]!.runs[0]!.config;
      expect({ ...found, name: arm.config.name }).toEqual(arm.config);
    }
  });
});

describe("tuned settings", () => {
  const recipes = ["paper", "superposition"] as const;

  it("are in the configs and the folders of an arm's runs, and the baseline's rate in an arm of its own", async () => {
    const own = config(long);
    const settings = new Map([
      ["baseline", { lr: 0.04, schedule: "wsd" as const }],
      ["paper", { lr: 0.02, schedule: "cosine" as const }],
      ["superposition", { lr: 0.04, schedule: "cosine" as const }],
    ]);
    const { baseline, methods, arms } = makePlan(own, await readFacts(own), { recipes }, settings);
    const keys = ({ config }: (typeof arms)[number]) => [
      config.out.slice(path("run/").length),
      config.optimizer.lr,
      config.schedule.type,
    ];
    expect(keys(baseline)).toEqual(["baseline-lr0.04-wsd/seed-1", 0.04, "wsd"]);
    const [paper, superposition] = methods;
    // The config's own values leave the folder's name alone.
    expect(keys(paper!.run)).toEqual(["paper/seed-1", 0.02, "cosine"]);
    expect(keys(paper!.equalCost!)).toEqual(["paper-equal-cost/seed-1", 0.02, "cosine"]);
    expect(keys(paper!.atBaselineRate!)).toEqual(["paper-equal-cost-lr0.04/seed-1", 0.04, "cosine"]);
    expect(paper!.atBaselineRate!.label).toBe("paper, equal cost, lr 0.04");
    expect(keys(superposition!.run)).toEqual(["superposition-lr0.04/seed-1", 0.04, "cosine"]);
    expect(superposition!.atBaselineRate).toBe(superposition!.run);
    expect(arms).toHaveLength(5);
  });

  it("are found by runs a quarter as long, warm-up too, at equal cost, with the config's seed and no curve", async () => {
    const own = config({ ...long, schedule: { warmupSteps: 100 } });
    const facts = await readFacts(own);
    const common = { config: own, ...facts, seeds: [11, 12] };
    const plan = makePlan(own, facts, { recipes, seeds: common.seeds });
    const tuning = planTuning(common, plan, { lr: [0.01, 0.02], schedule: ["cosine", "wsd"] });
    expect(tuning.map(({ key }) => key)).toEqual(["baseline", "paper", "superposition"]);
    expect(tuning[0]!.grid.map(({ config }) => config.out.slice(path("run/tune/").length))).toEqual([
      "baseline/250-steps-lr0.01-cosine/seed-1",
      "baseline/250-steps-lr0.02-cosine/seed-1",
      "baseline/250-steps-lr0.01-wsd/seed-1",
      "baseline/250-steps-lr0.02-wsd/seed-1",
    ]);
    for (const { grid } of tuning) {
      for (const { flops, config, steps } of grid) {
        expect(Math.abs(flops / (plan.baseline.flops / 4) - 1)).toBeLessThan(4e-3);
        expect(config).toMatchObject({ seed: 1, init: { seed: 1 }, eval: { everySteps: steps } });
        expect(config.schedule.warmupSteps).toBe(25);
      }
    }
    expect(tuning[1]!.grid[0]!.stages.map(({ steps }) => steps)).toEqual([333, 167]);
    const tenth = planTuning(common, plan, { lr: [0.01], share: 0.1 });
    expect(tenth[2]!.grid.map(({ stages }) => stages.map(({ steps }) => steps))).toEqual([[30, 70]]);
  });

  it("are none for stages with a rate of their own", async () => {
    const stages = [{ patchSize: 4, fraction: 0.5, optimizer: { lr: 0.1 } }, { patchSize: 1 }];
    const own = config({ stages });
    const facts = await readFacts(own);
    const common = { config: own, ...facts, seeds: null };
    const plan = makePlan(own, facts, {});
    expect(() => planTuning(common, plan, { lr: [0.01] })).toThrow(
      "stages[0].optimizer.lr: expected none, as tuning chooses it, but received one",
    );
    expect(planTuning(common, plan, { schedule: ["wsd"] })).toHaveLength(2);
  });
});
