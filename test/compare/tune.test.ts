/** Tuning, really trained. The search by itself: tune_search.test.ts. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import type { CompareOptions } from "../../lib/compare/options.js";
import { readMetrics } from "../../lib/report/metrics.js";
import { writeTinyData } from "../support/made_comparison.js";
import { runRecipes } from "../support/run_recipes.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeTinyData(path()));
const run = (options: CompareOptions, changes: Record<string, unknown> = {}) => runRecipes(path(), options, changes);

describe("tuning", () => {
  const options: CompareOptions = {
    recipes: ["superposition"],
    tune: { lr: [0.005, 0.02], share: 0.5 },
  };

  it("gives each arm its best rate, goes on beyond the grid, and repeats nothing", async () => {
    const messages: string[] = [];
    const first = await run({ ...options, log: (message) => messages.push(message) });
    const { tune, atBaselineRate } = first.comparison;
    expect(Object.keys(tune!)).toEqual(["baseline", "superposition"]);
    for (const { grid, best, steps } of Object.values(tune!)) {
      expect(steps).toBe(6);
      expect(grid.length).toBeGreaterThan(2); // the best of two is at an edge
      expect(best.valLoss).toBe(Math.min(...grid.map(({ valLoss }) => valLoss)));
    }
    expect(messages.filter((message) => message.includes("the edge of the grid: trying 0.08"))).toHaveLength(2);
    const { plan } = first.report;
    expect(plan.baseline.config.optimizer.lr).toBe(tune!.baseline!.best.lr);
    expect(plan.patch.config.optimizer.lr).toBe(tune!.superposition!.best.lr);
    expect(atBaselineRate).toBeDefined();
    // Of a tuning run only its loss is kept.
    const folder = path("run/tune/baseline/6-steps-lr0.02-cosine/seed-1");
    expect(existsSync(`${folder}/metrics.jsonl`)).toBe(true);
    for (const gone of ["model", "checkpoints"]) expect(existsSync(`${folder}/${gone}`)).toBe(false);
    expect(readFileSync(first.files.html, "utf8")).toContain("<h2>Learning rates</h2>");

    const again = await run(options);
    expect(again.ran).toEqual([]);
    expect(again.comparison).toEqual(first.comparison);
    rmSync(`${folder}/evaluation.json`);
    rmSync(`${folder}/metrics.jsonl`);
    rmSync(`${folder}/latest`);
    const repaired = await run(options);
    expect(repaired.ran).toEqual(["tuning token-level, lr 0.02, cosine"]);
    expect(repaired.comparison.tune).toEqual(first.comparison.tune);
  });

  it("chooses Muon's rate where Muon trains, and leaves AdamW's", async () => {
    const optimizer = { type: "muon", lr: 0.004, muon: { lr: 0.02 } };
    const { comparison, report } = await run({ ...options, tune: { lr: [0.01, 0.02, 0.04], share: 1 } }, { optimizer });
    const { grid, best } = comparison.tune!.baseline!;
    expect(new Set(grid.map(({ valLoss }) => valLoss)).size).toBe(grid.length);
    const { config } = report.plan.baseline;
    expect([config.optimizer.lr, config.optimizer.muon!.lr]).toEqual([0.004, best.lr]);
  });

  it("passes over a rate at which an arm diverges, and fails where there is no other", async () => {
    const tune = { lr: [0.02, 1e38], share: 1 };
    const { comparison } = await run({ ...options, tune }, { optimizer: { lr: 0.02, gradClip: null } });
    expect(comparison.tune!.baseline!.best.lr).toBeLessThan(1);
    expect(comparison.tune!.baseline!.grid.find(({ lr }) => lr === 1e38)!.valLoss).toBeNaN();
    // It was stopped as soon as it had no gradient for ten steps, and is not tried again.
    const folder = path("run/tune/baseline/12-steps-lr1e+38-cosine/seed-1");
    expect((await readMetrics(`${folder}/metrics.jsonl`)).length).toBeLessThan(12);
    expect(readFileSync(`${folder}/evaluation.json`, "utf8")).toBe('{"valLoss":null}\n');
    const none = run({ ...options, tune: { lr: [1e38], share: 1 } }, { optimizer: { gradClip: null } });
    await expect(none).rejects.toThrow(
      "tune: expected a rate at which token-level does not diverge but received 1e+38",
    );
  });
});
