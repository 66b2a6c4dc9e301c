/** Means over the runs of an arm, and which seconds are compared. */
import { describe, expect, it } from "@jest/globals";
import { average } from "../../lib/compare/average.js";
import { armResult, Environments, type SeedRecord } from "../../lib/compare/run_result.js";
import type { Environment } from "../../lib/report/environment.js";
import type { MetricsLine, TimeByPart } from "../../lib/report/metrics.js";
import { madeEnvironment } from "../support/made_results.js";

const time: TimeByPart = { data: 1, embedding: 2, transformer: 3, head: 4, optimizer: 5, idle: 6 };
const elsewhere: Environment = { ...madeEnvironment, processor: "another" };

const line = (step: number, extra: Partial<MetricsLine> = {}): MetricsLine => ({
  step,
  stage: 0,
  patchSize: 1,
  tokens: 10 * step,
  positions: 10 * step,
  loss: 3,
  lr: 1,
  gradNorm: 1,
  seconds: step / 4,
  tokensPerSecond: 40,
  flops: 100 * step,
  mfu: null,
  ...extra,
});

/** A run of four steps, every other of them evaluated, `slower` times as slow, whose losses are `above` the first seed's. */
function record(seed: number, { above = 0, slower = 1, environments = [madeEnvironment] } = {}): SeedRecord {
  const tasks = { cloze: { items: 4, acc: 0.5 + above, acc_stderr: null, perplexity: 2 } };
  return {
    seed,
    lines: [
      line(2, { valLoss: 2.5 + above, seconds: slower / 2 }),
      line(4, {
        valLoss: 2.25 + above,
        seconds: slower,
        energy: 7 * slower,
        optimizerFlops: 9,
        time: average([time, time]),
      }),
    ],
    evaluation: {
      valLoss: 2.3 + above,
      bitsPerByte: 1.5 + above,
      activations: { layers: [{ active: 0.1 + above }], threshold: 0.5, patchSize: 1 },
      tasks,
    },
    environments,
  };
}
const result = (runs: readonly SeedRecord[], baseline = runs) => armResult(runs, new Environments(baseline, runs));

describe("armResult", () => {
  it("of one seed has the evaluated steps as its curve, the last as its totals, and the loss of the final model", () => {
    expect(result([record(1)])).toEqual({
      tokens: 40,
      flops: 400,
      seconds: 1,
      valLoss: 2.3,
      optimizerFlops: 9,
      energy: 7,
      time,
      curve: [
        { tokens: 20, flops: 200, seconds: 0.5, valLoss: 2.5 },
        { tokens: 40, flops: 400, seconds: 1, valLoss: 2.25 },
      ],
      bitsPerByte: 1.5,
      activeNeurons: 0.1,
      activations: { layers: [{ active: 0.1 }], threshold: 0.5, patchSize: 1 },
      tasks: { cloze: { items: 4, acc: 0.5, acc_stderr: null, perplexity: 2 } },
      runs: [{ seed: 1, valLoss: 2.3, bitsPerByte: 1.5, activeNeurons: 0.1, seconds: 1, energy: 7, environments: [0] }],
    });
  });

  it("of several seeds has their means, point by point, and each by itself", () => {
    const found = result([record(1), record(2, { above: 0.5, slower: 3 })]);
    expect(found).toMatchObject({ tokens: 40, seconds: 2, energy: 14, bitsPerByte: 1.75 });
    expect(found.valLoss).toBeCloseTo(2.55, 12);
    expect(found.curve[0]).toEqual({ tokens: 20, flops: 200, seconds: 1, valLoss: 2.75 });
    expect(found.activations.layers[0]!.active).toBeCloseTo(0.35, 12);
    expect(found.tasks).toEqual({ cloze: { items: 4, acc: 0.75, acc_stderr: null, perplexity: 2 } });
    expect(found.runs.map(({ seed, seconds }) => [seed, seconds])).toEqual([
      [1, 1],
      [2, 3],
    ]);
  });

  it("takes times from where most token-level runs were trained, and losses from everywhere", () => {
    const baseline = [record(1), record(2, { environments: [elsewhere] }), record(3, { environments: [elsewhere] })];
    const runs = [record(1, { above: 1, slower: 10 }), record(2, { environments: [elsewhere], slower: 2 }), record(3)];
    const found = result(runs, baseline);
    expect(found).toMatchObject({ seconds: 2, energy: 14 });
    expect(found.valLoss).toBeCloseTo(2.3 + 1 / 3, 12);
    expect(found.runs.map(({ environments }) => environments)).toEqual([[0], [1], [0]]);
  });

  it("has no times where none of its runs was trained there, or one was resumed elsewhere", () => {
    for (const environments of [[elsewhere], [madeEnvironment, elsewhere]]) {
      const found = result([record(1, { environments })], [record(1)]);
      expect(found).toMatchObject({ seconds: null, energy: null, time: null, valLoss: 2.3 });
      expect(found.curve.map(({ seconds }) => seconds)).toEqual([null, null]);
    }
  });

  it("counts an environment once, whatever of it has nothing to do with seconds", () => {
    const later = { ...madeEnvironment, commit: "def456", date: "2026-02-02T00:00:00.000Z" };
    const runs = [record(1), record(2, { environments: [later, madeEnvironment] })];
    const environments = new Environments(runs, []);
    expect(environments.list).toEqual([madeEnvironment]);
    expect(runs.map((run) => environments.isTimed(run))).toEqual([true, true]);
  });

  it("has no number where a run diverged, and no bits where a run has none", () => {
    const diverged = record(2);
    const { bitsPerByte: _, ...evaluation } = { ...diverged.evaluation, valLoss: Number.NaN };
    const found = result([record(1), { ...diverged, evaluation }]);
    expect(found.valLoss).toBeNaN();
    expect(found).not.toHaveProperty("bitsPerByte");
  });
});
