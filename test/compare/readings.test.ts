import { describe, expect, it } from "@jest/globals";
import { costOfLoss } from "../../lib/compare/readings.js";
import type { RunResult } from "../../lib/compare/run_result.js";
import { type Made, madeComparison, madeRun, madeStaged } from "../support/made_results.js";

/** A run whose curve has these points of [FLOPs, loss]; a FLOP takes two seconds and a token. */
function made(points: readonly (readonly [number, number])[], more: Made = {}): RunResult {
  return madeRun(
    points.map(([flops, valLoss]) => ({ tokens: flops, flops, seconds: 2 * flops, valLoss })),
    more,
  );
}
const staged = (points: readonly (readonly [number, number])[], more: Made = {}) => madeStaged(made(points, more));

const points = [
  [50, 5],
  [100, 3],
] as const;
const baseline = made(points, { energy: 400 });

describe("compareRuns", () => {
  it("gives differences of losses and shares of the cost", () => {
    const run = staged([[60, 3.5]], { energy: 100 });
    const equalCost = staged([[100, 2.75]], { energy: 390 });
    const result = madeComparison(baseline, { patch: { run, equalCost } });
    expect(result).toMatchObject({
      ratio: { flops: 0.6, seconds: 0.6, energy: 0.25 },
      valLossDelta: 0.5,
      paired: null,
    });
    expect(result.equalCost).toEqual({
      ...equalCost,
      valLossDelta: -0.25,
      paired: null,
      differences: { activeNeurons: { mean: 0, paired: null } },
    });
    for (const key of ["sweep", "recipes", "tune", "atBaselineRate"]) expect(result).not.toHaveProperty(key);
  });

  it("has no energy where one of the runs counted none, and no equal cost where none was run", () => {
    const result = madeComparison(baseline, { patch: { run: staged([[60, 3.5]]) } });
    expect(result).toMatchObject({ ratio: { energy: null }, equalCost: null, equalLoss: null });
  });

  it("takes the cost at equal loss from the staged run, and only else from that at equal cost", () => {
    const of = (run: ReturnType<typeof staged>, equalCost: typeof run | null) =>
      madeComparison(baseline, { patch: { run, equalCost } }).equalLoss;
    const wins = staged([
      [30, 5],
      [60, 2.5],
    ]);
    const loses = staged([
      [30, 5],
      [60, 4],
    ]);
    const longer = staged([
      [60, 5],
      [100, 1],
    ]);
    expect(of(wins, longer)).toEqual(costOfLoss(wins, baseline));
    expect(of(loses, longer)).toEqual({ flops: 0.8, seconds: 0.8 });
    expect(of(loses, null)).toBeNull();
    expect(of(loses, loses)).toBeNull();
  });

  it("measures each run of a sweep against the baseline", () => {
    const run = staged([[60, 3.5]]);
    const { sweep } = madeComparison(
      baseline,
      { patch: { run } },
      { sweep: [run, staged([[40, 2]], { energy: 100 })] },
    );
    expect(sweep).toMatchObject([
      { valLossDelta: 0.5, ratio: { flops: 0.6, energy: null } },
      { valLossDelta: -1, ratio: { flops: 0.4, seconds: 0.4, energy: 0.25 } },
    ]);
  });

  it("pairs the runs by seed, whatever the seeds have in common", () => {
    // The seeds are 1 apart, the arms 0.1 to 0.12.
    const seeds = made(points, { finals: [2, 3, 4] });
    const run = staged(points, { finals: [2.1, 3.11, 4.12] });
    const { valLossDelta, paired } = madeComparison(seeds, { patch: { run } });
    expect(valLossDelta).toBeCloseTo(0.11, 12);
    expect(paired).toMatchObject({ n: 3, mean: valLossDelta });
    expect(paired!.se).toBeCloseTo(0.01 / Math.sqrt(3), 12);
    expect(paired!.high - paired!.mean).toBeCloseTo((4.30265 * 0.01) / Math.sqrt(3), 6);
  });

  it("has the readings of every recipe, the first one's again at the top", () => {
    const seeds = made(points, { finals: [3, 3.2] });
    const paper = staged([[60, 3.5]], { finals: [3.5, 3.5] });
    const longer = staged([[100, 2.9]], { finals: [2.9, 3] });
    const other = staged(points, { finals: [2.5, 2.6] });
    const methods = { paper: { run: paper, equalCost: longer }, superposition: { run: other, equalCost: other } };
    const { recipes, ...rest } = madeComparison(seeds, methods);
    expect(Object.keys(recipes!)).toEqual(["paper", "superposition"]);
    const { valLossDelta, paired, differences, equalCost, equalLoss, ratio, ...run } = recipes!.paper!;
    expect(run).toEqual(paper);
    expect(rest).toMatchObject({ patch: paper, valLossDelta, paired, differences, equalCost, equalLoss, ratio });
    expect(equalCost!.valLossDelta).toBeCloseTo(-0.15, 12);
    expect(recipes!.superposition!.valLossDelta).toBe(recipes!.superposition!.equalCost!.valLossDelta);
    expect(recipes!.superposition).toMatchObject({ ratio: { flops: 1 }, equalLoss: { flops: 1 } });
  });

  it("compares no seconds that were measured elsewhere", () => {
    const elsewhere = { ...staged(points), seconds: null, time: null, energy: null };
    const run = { ...elsewhere, curve: elsewhere.curve.map((point) => ({ ...point, seconds: null })) };
    expect(madeComparison(baseline, { patch: { run } })).toMatchObject({
      ratio: { flops: 1, seconds: null, energy: null },
      equalLoss: { flops: 1, seconds: null },
    });
  });
});

describe("costOfLoss", () => {
  it.each([
    {
      name: "between two evaluations",
      points: [
        [40, 4],
        [60, 2],
      ],
      at: 0.5,
    },
    {
      name: "at an evaluation",
      points: [
        [40, 4],
        [60, 3],
        [80, 2],
      ],
      at: 0.6,
    },
    {
      name: "the first time, where the loss rises again",
      points: [
        [20, 4],
        [40, 2],
        [60, 5],
        [80, 2],
      ],
      at: 0.3,
    },
    { name: "at the first evaluation, before which nothing is known", points: [[30, 2]], at: 0.3 },
    {
      name: "after an evaluation without a number",
      points: [
        [30, Number.NaN],
        [60, 2],
      ],
      at: 0.6,
    },
  ] as const)("finds the loss $name", ({ points, at }) => {
    const found = costOfLoss(made(points), baseline)!;
    expect(found.flops).toBeCloseTo(at, 12);
    expect(found.seconds!).toBeCloseTo(at, 12);
  });

  it("finds nothing where the loss stays above, or the baseline diverged", () => {
    expect(costOfLoss(made([[30, 3.01]]), baseline)).toBeNull();
    expect(costOfLoss(made([[30, 3]]), made([[100, Number.NaN]]))).toBeNull();
  });
});
