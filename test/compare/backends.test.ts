/** Complete, minimal comparisons on every available backend. */
import { existsSync, readFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { compare } from "../../lib/compare/compare.js";
import { readMetrics } from "../../lib/report/metrics.js";
import { backends } from "../support/backends.js";
import { computed, tinyConfig, writeTinyData } from "../support/made_comparison.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeTinyData(path()));

const read = (name: string) => readFileSync(path(name), "utf8");

describe.each(backends)("a comparison on %s", (device) => {
  it("has every field of the design, from runs that are ordinary runs, and is the same again", async () => {
    const config = tinyConfig(path(), device);
    const notes: string[] = [];
    const { comparison, files } = await compare(config, {
      equalCost: true,
      onProgress: ({ done, total, note }) => {
        expect(done).toBeLessThanOrEqual(total);
        if (note.includes("| step ")) notes.push(note);
      },
    });
    const { baseline, patch, ratio, valLossDelta, equalCost, equalLoss } = comparison;
    const readings = ["ratio", "valLossDelta", "paired", "differences", "equalCost", "equalLoss"];
    const rest = ["seeds", "parameters", "environments"];
    expect(Object.keys(comparison)).toEqual(["baseline", "patch", ...readings, ...rest]);
    const ofRun = [
      "tokens",
      "flops",
      "seconds",
      "valLoss",
      "optimizerFlops",
      "energy",
      "time",
      "curve",
      "activations",
      "activeNeurons",
      "runs",
    ];
    expect(Object.keys(baseline)).toEqual(ofRun);
    expect(Object.keys(patch)).toEqual([...ofRun, "patchSize", "fraction", "stages"]);
    expect(Object.keys(equalCost!)).toEqual([
      ...ofRun,
      "patchSize",
      "fraction",
      "stages",
      "valLossDelta",
      "paired",
      "differences",
    ]);
    expect(patch).toMatchObject({ patchSize: 4, fraction: 0.6667, tokens: 768 });
    expect(patch.stages.map(({ patchSize, steps, tokens }) => [patchSize, steps, tokens])).toEqual([
      [4, 8, 512],
      [1, 4, 256],
    ]);
    expect(patch.stages.reduce((sum, { flops }) => sum + flops, 0)).toBe(patch.flops);
    expect(baseline.tokens).toBe(768);

    for (const [name, run, steps] of [
      ["baseline", baseline, [2, 4, 6, 8, 10, 12]],
      ["patch", patch, [2, 4, 6, 8, 10, 12]],
      ["equal-cost", equalCost!, null],
    ] as const) {
      const lines = await readMetrics(path(`run/${name}/seed-1/metrics.jsonl`));
      const evaluated = lines.filter(({ valLoss }) => valLoss !== undefined);
      if (steps) expect(evaluated.map(({ step }) => step)).toEqual(steps);
      const points = evaluated.map(({ tokens, flops, seconds, valLoss }) => ({ tokens, flops, seconds, valLoss }));
      expect(run.curve).toEqual(points);
      expect(run).toMatchObject(points.at(-1)!); // all held-out data is in four sequences
      expect(run.runs).toEqual([
        {
          seed: 1,
          valLoss: run.valLoss,
          seconds: run.seconds,
          energy: null,
          activeNeurons: run.activeNeurons,
          environments: [0],
        },
      ]);
      expect(run.energy).toBeNull();
      expect(run.time).toEqual(lines.at(-1)!.time);
      expect(Object.keys(run.time!)).toEqual(["data", "embedding", "transformer", "head", "optimizer", "idle"]);
      const total = Object.values(run.time!).reduce((sum, seconds) => sum + seconds, 0);
      expect(total / run.seconds!).toBeCloseTo(1, 2);
      expect(run.activations).toEqual({ layers: [{ active: expect.any(Number) }], threshold: 0.5, patchSize: 1 });
      expect(run.valLoss).toBeGreaterThan(0);
      expect(run.valLoss).toBeLessThan(2 * Math.log(32));
      expect(existsSync(path(`run/${name}/seed-1/model/model.safetensors`))).toBe(true);
      expect(existsSync(path(`run/${name}/seed-1/report.html`))).toBe(true);
    }
    expect(Math.abs(ratio.flops - (0.6667 / 4 + 1 - 0.6667))).toBeLessThan(0.005);
    expect(ratio).toEqual({
      flops: patch.flops / baseline.flops,
      seconds: patch.seconds! / baseline.seconds!,
      energy: null,
    });
    expect(valLossDelta).toBe(patch.valLoss - baseline.valLoss);
    expect(equalCost!.valLossDelta).toBe(equalCost!.valLoss - baseline.valLoss);
    expect(Math.abs(equalCost!.flops - baseline.flops)).toBeLessThanOrEqual(baseline.flops / 12);
    if (equalLoss) {
      expect(Object.keys(equalLoss)).toEqual(["flops", "seconds"]);
      expect(equalLoss.flops).toBeLessThanOrEqual(1.1);
    }
    expect(JSON.parse(read("run/comparison.json"))).toEqual(comparison);
    for (const [file, mark] of [
      [files.html, "<!doctype html>"],
      [files.markdown, "# tiny: "],
    ] as const) {
      expect(readFileSync(file, "utf8")).toContain(mark);
    }

    expect(notes).toHaveLength(12 + 12 + Math.round(equalCost!.tokens / 64));
    expect(notes[0]).toMatch(/^run 1\/3: token-level \| stage 1\/1, K 1 \| step 1\/12 \| ETA .* \| loss \d\.\d+$/);
    expect(notes[19]).toMatch(/^run 2\/3: K = 4, fraction 0\.6667 \| stage 1\/2, K 4 \| step 8\/12 \| /);
    expect(notes[19]).toMatch(/ \| ETA of all [\d.]+ (ms|s|min \d+ s) \| loss \d\.\d+ \| val \d\.\d+$/);

    // The same command again runs nothing and says the same; in another folder it computes the same bits.
    const messages: string[] = [];
    const again = await compare(config, {
      equalCost: true,
      log: (message) => messages.push(message),
      onProgress: () => {
        throw new Error("a finished run was repeated");
      },
    });
    expect(again.comparison).toEqual(comparison);
    expect(messages.filter((message) => message.includes("holds the finished run"))).toHaveLength(3);
    const elsewhere = await compare({ ...config, out: path("elsewhere") }, { equalCost: true });
    expect(computed(elsewhere.comparison)).toEqual(computed(comparison));
  });
});
