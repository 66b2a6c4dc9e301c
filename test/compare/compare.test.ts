/** Comparisons that are interrupted, begin with a checkpoint or sweep, on cpu; backends.test.ts covers all backends. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { compare } from "../../lib/compare/compare.js";
import { readings } from "../../lib/compare/figures.js";
import type { CompareOptions } from "../../lib/compare/options.js";
import { ComparisonInterrupted } from "../../lib/compare/runner.js";
import { ConfigError } from "../../lib/errors.js";
import { readMetrics } from "../../lib/report/metrics.js";
import { computed, tinyConfig, writeTinyData } from "../support/made_comparison.js";
import { writeShard } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeTinyData(path()));

const read = (name: string) => readFileSync(path(name), "utf8");

describe("a comparison that is broken off", () => {
  /** Runs until the given step of the run with this label, as a signal breaks it off. */
  async function interrupted(out: string, label: string, step: number): Promise<Error> {
    const abort = new AbortController();
    const options: CompareOptions = {
      signal: abort.signal,
      onProgress: ({ note }) => {
        if (note.includes(`: ${label} | `) && note.includes(`| step ${step}/`)) abort.abort();
      },
    };
    return compare(tinyConfig(path(), "cpu", { out: path(out) }), options).then(
      () => new Error("was not broken off"),
      (error: Error) => error,
    );
  }

  it("goes on where it stopped, to the same bits", async () => {
    const whole = await compare(tinyConfig(path(), "cpu"));
    const first = await interrupted("broken", "token-level", 5);
    expect(first).toBeInstanceOf(ComparisonInterrupted);
    expect(first.message).toBe("interrupted in the run token-level at step 5 of 12");
    expect(existsSync(path("broken/comparison.html"))).toBe(false);
    // Behind its last step; then in the second one, in its first stage.
    const second = await interrupted("broken", "token-level", 12);
    expect(second.message).toBe("interrupted while the run token-level was tested");
    const third = await interrupted("broken", "K = 4, fraction 0.6667", 7);
    expect(third.message).toBe("interrupted in the run K = 4, fraction 0.6667 at step 7 of 12");

    const steps: string[] = [];
    const rest = await compare(tinyConfig(path(), "cpu", { out: path("broken") }), {
      onProgress: ({ note }) => steps.push(...(/step \d+/.exec(note) ?? [])),
    });
    expect(steps).toEqual(["step 8", "step 9", "step 10", "step 11", "step 12"]);
    expect(computed(rest.comparison)).toEqual(computed(whole.comparison));
  });

  it("finishes a run that was stopped before it left its model", async () => {
    const { comparison } = await compare(tinyConfig(path(), "cpu"));
    rmSync(path("run/baseline/seed-1/model"), { recursive: true });
    expect((await compare(tinyConfig(path(), "cpu"))).comparison).toEqual(comparison);
    expect(existsSync(path("run/baseline/seed-1/model/model.safetensors"))).toBe(true);
  });

  it("refuses to mix runs of two configs or sets of data, naming what differs", async () => {
    await interrupted("run", "K = 4, fraction 0.6667", 2);
    for (const [changes, says] of [
      [
        { optimizer: { lr: 0.01 } },
        /run\/baseline\/seed-1: expected the config .* was begun with .*: optimizer\.lr: 0\.02 before, 0\.01 now /,
      ],
      [{ train: { tokens: 640 } }, /train\.tokens: 768 before, 640 now/],
      [{ eval: { everySteps: 2, sequences: 2 } }, /eval\.sequences: 4 before, 2 now/],
      [{ precision: "bf16" }, /precision: "fp32" before, "bf16" now/],
    ] as const) {
      const refused = compare(tinyConfig(path(), "cpu", changes));
      await expect(refused).rejects.toThrow(ConfigError);
      await expect(refused).rejects.toThrow(says);
    }
    await writeShard(
      path("val.bin"),
      Array.from({ length: 33 }, () => 1),
    );
    const prepared = compare(tinyConfig(path(), "cpu"));
    await expect(prepared).rejects.toThrow(/was begun but received others, .*: valTokens: 32 before, 33 now /);
    await writeTinyData(path());

    for (const [file, what] of [
      ["environment", "a run's environment"],
      ["config", "a run's config"],
    ]) {
      writeFileSync(path(`run/baseline/seed-1/${file}.json`), '{"cut":');
      const damaged = compare(tinyConfig(path(), "cpu"));
      const problem = `baseline/seed-1/${file}.json: expected ${what} as a JSON object but received other text`;
      await expect(damaged).rejects.toThrow(problem);
      await expect(damaged).rejects.toThrow(ConfigError);
    }
  });
});

describe("a comparison's data", () => {
  it("is the same for both runs: they end at the same place of the same order", async () => {
    await compare(tinyConfig(path(), "cpu"));
    const position = (run: string) => {
      const state = JSON.parse(read(`run/${run}/seed-1/checkpoints/step-00000012/trainer/state.json`)) as {
        data: unknown;
      };
      return state.data;
    };
    expect(position("baseline")).toEqual(position("patch"));
    expect(position("patch")).toEqual({ epoch: 1, tokens: 768 - 672 }); // 21 units of 32 tokens in the 700
    // In units of its own sequences the baseline would have begun with other tokens.
    const lines = await readMetrics(path("run/baseline/seed-1/metrics.jsonl"));
    const { shuffleTokens: _, ...data } = tinyConfig(path(), "cpu").data;
    await compare(tinyConfig(path(), "cpu", { data: { ...data, shuffleTokens: 64 }, out: path("other") }));
    const others = await readMetrics(path("other/baseline/seed-1/metrics.jsonl"));
    expect(others[0]!.loss).not.toBe(lines[0]!.loss);
  });
});

describe("a comparison of four stages", () => {
  it("has the stages of each run in its numbers and its pages", async () => {
    const stages = [
      { patchSize: 8, fraction: 0.2, of: "flops" },
      { patchSize: 4, fraction: 0.2, of: "flops" },
      { patchSize: 2, fraction: 0.2, of: "flops" },
      { patchSize: 1 },
    ];
    const batch = { positionsPerStep: 64, sequenceLength: 8 };
    const config = tinyConfig(path(), "cpu", { stages, batch, train: { steps: 5 }, keepOptimizer: true });
    const { comparison, files } = await compare(config, { equalCost: true });
    const { baseline, patch, equalCost } = comparison;
    expect(patch.stages.map(({ patchSize, steps, tokens }) => [patchSize, steps, tokens])).toEqual([
      [8, 1, 512],
      [4, 1, 256],
      [2, 1, 128],
      [1, 2, 128],
    ]);
    expect(baseline.tokens).toBe(1024);
    // Sixteen steps, each within a hundredth of the cost of the others in this small model.
    expect(equalCost!.stages.map(({ steps }) => steps)).toEqual([3, 3, 3, 7]);
    expect(Math.abs(equalCost!.flops / baseline.flops - 1)).toBeLessThan(0.005);
    expect(equalCost!.stages.reduce((sum, { flops }) => sum + flops, 0)).toBe(equalCost!.flops);
    const text = readFileSync(files.markdown, "utf8");
    for (const [K, tokens] of [
      [8, "512"],
      [4, "768"],
      [2, "896"],
    ] as const) {
      expect(text).toContain(
        `The stage with K = ${K} of "K = 8, 4, 2, fractions 0.2, 0.2, 0.2 of FLOPs" ends at ${tokens} `,
      );
    }
    expect(readFileSync(files.html, "utf8")).toContain("K = 8, 4, 2, fractions 0.2, 0.2, 0.2 of FLOPs");
  });
});

describe("a comparison that begins with a checkpoint", () => {
  it("trains all its runs from there", async () => {
    await compare(tinyConfig(path(), "cpu"));
    const from = { model: undefined, init: { from: path("run/patch/seed-1/model") }, out: path("more") };
    const { comparison } = await compare(tinyConfig(path(), "cpu", from));
    const first = (await readMetrics(path("more/baseline/seed-1/metrics.jsonl")))[0]!;
    expect(first.loss).toBeLessThan(Math.log(32) - 0.1); // what an untrained model has
    expect(comparison.baseline.tokens).toBe(768);
  });
});

describe("a sweep", () => {
  it("runs each combination against one baseline, and repeats none", async () => {
    const first = await compare(tinyConfig(path(), "cpu"));
    const runs = new Set<string>();
    const sweep = { patchSize: [2, 4], fraction: [0.5, 0.6667] };
    const { comparison, files, report } = await compare(tinyConfig(path(), "cpu"), {
      sweep,
      onProgress: ({ note }) => runs.add(note.split(" | ")[0]!),
    });
    expect([...runs]).toEqual([
      "run 3/5: K = 2, fraction 0.5",
      "run 4/5: K = 2, fraction 0.6667",
      "run 5/5: K = 4, fraction 0.5",
    ]);
    const { sweep: swept, ...rest } = comparison;
    expect(rest).toEqual(first.comparison);
    expect(swept).toHaveLength(4);
    const { patch, ratio, valLossDelta, paired, differences } = comparison;
    expect(swept![3]).toEqual({ ...patch, ratio, valLossDelta, paired, differences });
    for (const { fraction, patchSize, ratio, valLoss, valLossDelta, tokens } of swept!) {
      expect(tokens).toBe(768);
      expect(Math.abs(ratio.flops - (fraction / patchSize + 1 - fraction))).toBeLessThan(0.005);
      expect(valLossDelta).toBe(valLoss - comparison.baseline.valLoss);
    }
    const html = readFileSync(files.html, "utf8");
    expect(html).toContain("Sweep: final loss against cost");
    const [runTable] = html.split("<h2>Runs</h2>")[1]!.split("</table>");
    expect(runTable!.match(/<td data-name="Run">K = 4, fraction 0\.6667<\/td>/g)).toHaveLength(1);
    expect(readings(report).map(({ name }) => name)).toEqual([
      "Cost in FLOPs",
      "Cost in training time",
      "Loss at equal data",
      "Cost at equal loss",
    ]);
  });
});
