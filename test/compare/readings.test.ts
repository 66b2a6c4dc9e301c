import { describe, expect, it } from "@jest/globals";
import { compareRuns, costOfLoss, type RunResult, runResult, type StagedResult } from "../../lib/compare/readings.js";
import type { MetricsLine, TimeByPart } from "../../lib/report/metrics.js";

const time: TimeByPart = { data: 1, embedding: 2, transformer: 3, head: 4, optimizer: 5, idle: 6 };

const activations = { layers: [{ active: 0.1 }], threshold: 0.5, patchSize: 1 };

/** A run whose curve has these points of [FLOPs, loss]; a FLOP takes two seconds and a token. */
function made(points: readonly (readonly [number, number])[], energy: number | null = null): RunResult {
  const curve = points.map(([flops, valLoss]) => ({ tokens: flops, flops, seconds: 2 * flops, valLoss }));
  return { ...curve.at(-1)!, optimizerFlops: 0, energy, time, curve, activations };
}
const staged = (run: RunResult): StagedResult => ({ ...run, patchSize: 4, fraction: 0.5 });

const baseline = made(
  [
    [50, 5],
    [100, 3],
  ],
  400,
);

describe("compareRuns", () => {
  it("gives differences of losses and shares of the cost", () => {
    const patch = staged(
      made(
        [
          [25, 6],
          [60, 3.5],
        ],
        100,
      ),
    );
    const equalCost = staged(
      made(
        [
          [50, 6],
          [100, 2.75],
        ],
        390,
      ),
    );
    const result = compareRuns({ baseline, patch, equalCost });
    expect(result).toMatchObject({ ratio: { flops: 0.6, seconds: 0.6, energy: 0.25 }, valLossDelta: 0.5 });
    expect(result.equalCost).toEqual({ ...equalCost, valLossDelta: -0.25 });
    expect(result).not.toHaveProperty("sweep");
  });

  it("has no energy where one of the runs counted none, and no equal cost where none was run", () => {
    const result = compareRuns({ baseline, patch: staged(made([[60, 3.5]])), equalCost: null });
    expect(result).toMatchObject({ ratio: { energy: null }, equalCost: null, equalLoss: null });
  });

  it("takes the cost at equal loss from the staged run, and only else from that at equal cost", () => {
    const wins = staged(
      made([
        [30, 5],
        [60, 2.5],
      ]),
    );
    const loses = staged(
      made([
        [30, 5],
        [60, 4],
      ]),
    );
    const longer = staged(
      made([
        [60, 5],
        [100, 1],
      ]),
    );
    expect(compareRuns({ baseline, patch: wins, equalCost: longer }).equalLoss).toEqual(costOfLoss(wins, baseline));
    expect(compareRuns({ baseline, patch: loses, equalCost: longer }).equalLoss).toEqual({ flops: 0.8, seconds: 0.8 });
    expect(compareRuns({ baseline, patch: loses, equalCost: null }).equalLoss).toBeNull();
    expect(compareRuns({ baseline, patch: loses, equalCost: loses }).equalLoss).toBeNull();
  });

  it("measures each run of a sweep against the baseline", () => {
    const patch = staged(made([[60, 3.5]]));
    const { sweep } = compareRuns({ baseline, patch, equalCost: null, sweep: [patch, staged(made([[40, 2]], 100))] });
    expect(sweep).toMatchObject([
      { valLossDelta: 0.5, ratio: { flops: 0.6, energy: null } },
      { valLossDelta: -1, ratio: { flops: 0.4, seconds: 0.4, energy: 0.25 } },
    ]);
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
    expect(found.seconds).toBeCloseTo(at, 12);
  });

  it("finds nothing where the loss stays above, or the baseline diverged", () => {
    expect(costOfLoss(made([[30, 3.01]]), baseline)).toBeNull();
    expect(costOfLoss(made([[30, 3]]), made([[100, Number.NaN]]))).toBeNull();
  });
});

describe("runResult", () => {
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

  it("keeps the evaluated steps, the last as the run's totals", () => {
    const before = { ...time, idle: 1 };
    const lines = [
      line(1, { time: before }),
      line(2, { valLoss: 2.5, time: before }),
      line(3, { time: before }),
      line(4, { valLoss: 2.25, valBitsPerByte: 1.5, energy: 7, optimizerFlops: 9, time }),
    ];
    const tasks = { cloze: { items: 1, acc: 1, acc_stderr: null, perplexity: 2 } };
    const last = { tokens: 40, flops: 400, seconds: 1, valLoss: 2.25 };
    expect(runResult(lines, { activations, tasks })).toEqual({
      ...last,
      optimizerFlops: 9,
      energy: 7,
      time,
      curve: [{ tokens: 20, flops: 200, seconds: 0.5, valLoss: 2.5 }, last],
      bitsPerByte: 1.5,
      activations,
      tasks,
    });
  });
});
