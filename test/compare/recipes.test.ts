/** Comparisons of recipes over seeds, really trained: broken off, gone on with, extended, moved to another machine. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import type { CompareOptions } from "../../lib/compare/options.js";
import { pairedDifferences } from "../../lib/compare/paired.js";
import { ComparisonInterrupted } from "../../lib/compare/runner.js";
import { evaluate } from "../../lib/evaluate.js";
import { Llama } from "../../lib/nn/llama.js";
import { computed, tinyModel, writeTinyData } from "../support/made_comparison.js";
import { madeTokens, writeShard } from "../support/made_run.js";
import { runRecipes } from "../support/run_recipes.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => {
  await writeTinyData(path());
  // More held-out text than the curves are evaluated on.
  await writeShard(
    path("val.bin"),
    madeTokens(80, 99).map((token) => token % tinyModel.vocab_size),
  );
});

const run = (options: CompareOptions, changes: Record<string, unknown> = {}) => runRecipes(path(), options, changes);

const both: CompareOptions = { recipes: ["paper", "superposition"], seeds: [1, 2] };

describe("a comparison of two recipes over two seeds", () => {
  it("is broken off, gone on with, and extended by a seed and a recipe, to the same bits", async () => {
    const abort = new AbortController();
    const stopped = run(
      {
        recipes: ["superposition"],
        seeds: [1, 2],
        signal: abort.signal,
        onProgress: ({ note }) => {
          if (note.includes(": superposition, seed 1 |") && note.includes("| step 5/")) abort.abort();
        },
      },
      { out: path("broken") },
    );
    await expect(stopped).rejects.toThrow(ComparisonInterrupted);
    await expect(stopped).rejects.toThrow(/^interrupted in the run superposition, seed 1 at step 5 of 12$/);
    expect(existsSync(path("broken/comparison.html"))).toBe(false);

    // The seed 2 only later: a single seed is the run of that seed.
    const alone = await run({ recipes: ["superposition"] }, { out: path("broken") });
    expect(alone.ran).toEqual(["superposition"]);
    expect(alone.comparison).toMatchObject({ seeds: [1], paired: null });
    const extended = await run(both, { out: path("broken") });
    expect(extended.ran).toEqual([
      "paper, seed 1",
      "paper, equal cost, seed 1",
      "token-level, seed 2",
      "paper, seed 2",
      "paper, equal cost, seed 2",
      "superposition, seed 2",
    ]);

    const whole = await run(both);
    expect(whole.ran).toHaveLength(8);
    expect(computed(extended.comparison)).toEqual(computed(whole.comparison));
    expect((await run(both)).ran).toEqual([]);

    const { comparison, files } = whole;
    const { baseline, recipes } = comparison;
    const { paper, superposition } = recipes!;
    expect(comparison).toMatchObject({ seeds: [1, 2], patch: { tokens: paper!.tokens } });
    for (const reading of [paper!, paper!.equalCost!, superposition!, superposition!.equalCost!]) {
      const differences = reading.runs.map(({ valLoss }, index) => valLoss - baseline.runs[index]!.valLoss);
      expect(reading.paired).toEqual(pairedDifferences(differences));
      expect(reading.valLossDelta).toBe(reading.paired!.mean);
      expect(differences[0]).not.toBe(differences[1]);
    }
    // The final losses are those on all held-out tokens, not only on those of the curve.
    for (const { seed, valLoss } of baseline.runs) {
      using model = await Llama.load(path(`run/baseline/seed-${seed}/model`), { device: "cpu", precision: "fp32" });
      expect(valLoss).toBe((await evaluate(model, { data: path("val.bin"), sequenceLength: 8 })).loss);
    }
    expect(baseline.curve.at(-1)!.valLoss).not.toBe(baseline.valLoss);
    expect(JSON.parse(readFileSync(files.json, "utf8"))).toEqual(comparison);
    expect(readFileSync(files.html, "utf8")).toContain("superposition");
  });

  it("goes on elsewhere, where the losses are compared and the seconds kept apart", async () => {
    const options: CompareOptions = { recipes: ["superposition"], seeds: [1, 2] };
    const here = await run({ ...options, seeds: [1] });
    const environment = path("run/baseline/seed-1/environment.json");
    for (const arm of ["baseline", "superposition"]) {
      const file = path(`run/${arm}/seed-1/environment.json`);
      writeFileSync(file, readFileSync(file, "utf8").replace(/"processor": "[^"]*"/, '"processor": "another"'));
    }
    const { comparison, files, ran } = await run(options);
    expect(ran).toEqual(["token-level, seed 2", "superposition, seed 2"]);
    expect(comparison.environments.map(({ processor }) => processor === "another")).toEqual([true, false]);
    const { baseline, patch, ratio, paired } = comparison;
    expect([baseline, patch].map(({ runs }) => runs.map(({ environments }) => environments))).toEqual([
      [[0], [1]],
      [[0], [1]],
    ]);
    expect(paired).toMatchObject({ n: 2 });
    // One token-level run each: the first one's machine counts.
    expect(baseline.seconds).toBe(here.comparison.baseline.seconds);
    expect(ratio.seconds).toBe(here.comparison.ratio.seconds);
    expect(readFileSync(files.markdown, "utf8")).toContain("The runs were trained on several machines");

    writeFileSync(environment, readFileSync(environment, "utf8").replace('"precision": "fp32"', '"precision": "bf16"'));
    await expect(run(options)).rejects.toThrow(
      /baseline\/seed-1: expected the conditions .* precision: bf16 before, fp32 now /,
    );
  });

  it("keeps the times of a run apart that was resumed elsewhere", async () => {
    const abort = new AbortController();
    const onProgress: CompareOptions["onProgress"] = ({ note }) => {
      if (note.includes(": superposition |") && note.includes("| step 5/")) abort.abort();
    };
    const options: CompareOptions = { recipes: ["superposition"] };
    await expect(run({ ...options, signal: abort.signal, onProgress })).rejects.toThrow(ComparisonInterrupted);
    const file = path("run/superposition/seed-1/environment.json");
    writeFileSync(file, readFileSync(file, "utf8").replace(/"processor": "[^"]*"/, '"processor": "another"'));
    const { comparison, files } = await run(options);
    expect(comparison.patch).toMatchObject({ seconds: null, time: null, runs: [{ environments: [1, 0] }] });
    expect(comparison.ratio).toMatchObject({ seconds: null });
    expect(comparison.baseline.seconds).toBeGreaterThan(0);
    const text = readFileSync(files.markdown, "utf8");
    expect(text).toContain("- Cost in training time: – (the runs were trained on different machines");
    expect(text).not.toContain("## Where the time goes");
  });
});
