import { describe, expect, it } from "@jest/globals";
import { parseRunConfig } from "../../lib/config/config.js";
import { labelWeightValues } from "../../lib/config/label_weights.js";
import { type CountFlops, resolveStages } from "../../lib/config/stages.js";
import { ConfigError } from "../../lib/errors.js";

const base = {
  name: "r",
  model: { preset: "tiny" },
  data: { train: "train.bin" },
  stages: [{ patchSize: 4, fraction: 0.6667 }, { patchSize: 1 }] as object[],
  batch: { tokensPerStep: 16384, sequenceLength: 256 },
  train: { tokens: 8_000_000 } as object,
};
const resolve = (change: object = {}, available = 0, countFlops?: CountFlops) =>
  resolveStages(parseRunConfig({ ...base, ...change }, "c"), available, countFlops);
/** A FLOP a position, and a tenth of one a token. */
const made: CountFlops = ({ positionsPerStep, patchSize }) => positionsPerStep * (1 + patchSize / 10);

describe("resolveStages", () => {
  it("counts shares in tokens, in whole steps", () => {
    const [patch, token] = resolve();
    // 0.6667 * 8e6 / 16384 = 325.5 steps; the rest, 8e6 - 326 * 16384 tokens, is 162.3 steps.
    expect(patch).toMatchObject({
      index: 0,
      patchSize: 4,
      firstStep: 0,
      steps: 326,
      tokens: 326 * 16384,
      sequencesPerStep: 16,
      positionsPerStep: 4096,
      keepOptimizer: false,
      labelWeights: [0.25, 0.25, 0.25, 0.25],
    });
    expect(token).toMatchObject({
      index: 1,
      patchSize: 1,
      firstStep: 326,
      steps: 162,
      sequencesPerStep: 64,
      positionsPerStep: 16384,
      microBatch: "auto",
      labelWeights: [1],
    });
  });

  it("counts epochs in the tokens there are", () => {
    const stages = resolve({ train: { epochs: 1.5 }, stages: [{ patchSize: 1 }] }, 1_000_000);
    expect(stages[0]!.steps).toBe(Math.round(1_500_000 / 16384));
  });

  it("steps sum to what is asked, whatever the shares", () => {
    const thirds = [
      { patchSize: 4, fraction: 0.35 },
      { patchSize: 2, fraction: 0.35 },
      { patchSize: 1, fraction: 0.3 },
    ];
    for (const steps of [3, 10, 11, 17, 100]) {
      const stages = resolve({ train: { steps }, stages: thirds });
      expect(stages.reduce((sum, stage) => sum + stage.steps, 0)).toBe(steps);
    }
    expect(resolve({ train: { steps: 300 } }).map(({ steps }) => steps)).toEqual([200, 100]);
  });

  it("with steps of different sizes, shares are still of tokens", () => {
    const stages = [{ patchSize: 4, fraction: 0.5, batch: { tokensPerStep: 32768 } }, { patchSize: 1 }];
    const resolved = resolve({ train: { steps: 30 }, stages });
    expect(resolved.map(({ steps, tokens }) => [steps, tokens])).toEqual([
      [10, 327680],
      [20, 327680],
    ]);
  });

  it("a stage without a fraction may stand anywhere; shares below the whole train less", () => {
    const middle = [{ patchSize: 4, fraction: 0.25 }, { patchSize: 2 }, { patchSize: 1, fraction: 0.25 }];
    expect(resolve({ train: { steps: 100 }, stages: middle }).map(({ steps }) => steps)).toEqual([25, 50, 25]);
    const half = resolve({ train: { steps: 100 }, stages: [{ patchSize: 1, fraction: 0.5 }] });
    expect(half[0]!.steps).toBe(50);
  });

  it("stages of so many steps have them at any length; the other has the rest", () => {
    const stages = [{ patchSize: 8, steps: 30 }, { patchSize: 4 }, { patchSize: 1, steps: 12 }];
    const counts = (train: object) => resolve({ train, stages }, 0, made).map(({ steps }) => steps);
    expect(counts({ steps: 50 })).toEqual([30, 8, 12]);
    expect(counts({ tokens: 1000 * 16384 })).toEqual([30, 958, 12]);
    const flops = ([a, b, c]: number[]) => 16384 * ((a! * 1.8) / 8 + (b! * 1.4) / 4 + c! * 1.1);
    expect(counts({ flops: flops([30, 77, 12]) })).toEqual([30, 77, 12]);
    expect(() => counts({ steps: 42 })).toThrow(
      "stages[1]: expected a share of at least one step but received 0 steps of 42",
    );
  });

  it("a share below half a step is told", () => {
    const stages = [{ patchSize: 4, fraction: 0.001 }, { patchSize: 1 }];
    const run = () => resolve({ train: { steps: 100 }, stages });
    expect(run).toThrow(ConfigError);
    expect(run).toThrow(
      "stages[0]: expected a share of at least one step of 16384 tokens but received 1638 tokens of 1638400",
    );
    expect(() => resolve({ train: { epochs: 1 } }, 100)).toThrow(/stages\[0\]: .*but received 67 tokens of 100/);
  });

  it("merges a stage's settings of Muon over the run's", () => {
    const stages = [{ patchSize: 4, fraction: 0.5, optimizer: { muon: { lr: 0.05 } } }, { patchSize: 1 }];
    const resolved = resolve({ train: { steps: 30 }, stages, optimizer: { type: "muon", muon: { nsSteps: 4 } } });
    const [first, second] = resolved.map(({ optimizer }) => optimizer.muon);
    expect(first).toEqual({ lr: 0.05, momentum: 0.95, nesterov: true, nsSteps: 4, adjustLr: "original" });
    expect(second).toEqual({ ...first, lr: 1e-3 });
  });

  it("merges a stage's overrides over the run's", () => {
    const stages = [
      { patchSize: 4, fraction: 0.5, optimizer: { lr: 1e-3 }, schedule: { type: "wsd", decayFraction: 0.2 } },
      { patchSize: 1, keepOptimizer: false, labelWeights: "uniform" },
    ];
    const [first, second] = resolve({
      stages,
      keepOptimizer: true,
      labelWeights: "1/i",
      schedule: { warmupSteps: 7 },
    });
    expect(first!.optimizer).toEqual({
      type: "adamw",
      lr: 1e-3,
      betas: [0.9, 0.95],
      eps: 1e-8,
      weightDecay: 0.1,
      gradClip: 1,
    });
    expect(first!.schedule).toEqual({ type: "wsd", warmupSteps: 7, minLrRatio: 0, decayFraction: 0.2 });
    expect(second!.optimizer.lr).toBe(3e-4);
    expect(second!.schedule).toEqual({ type: "cosine", warmupSteps: 7, minLrRatio: 0, decayFraction: 0.1 });
    expect([first!.keepOptimizer, second!.keepOptimizer]).toEqual([false, false]);
    expect(first!.labelWeights.map((weight) => weight * (25 / 12))).toEqual(
      [1, 1 / 2, 1 / 3, 1 / 4].map((weight) => expect.closeTo(weight, 12)),
    );
  });

  it("carries the optimizer over at the run's word or the stage's", () => {
    expect(resolve({ keepOptimizer: true }).map((stage) => stage.keepOptimizer)).toEqual([false, true]);
    const stages = [
      { patchSize: 4, fraction: 0.5 },
      { patchSize: 1, keepOptimizer: true },
    ];
    expect(resolve({ stages }).map((stage) => stage.keepOptimizer)).toEqual([false, true]);
  });

  it("schedules span the stage, or the run with perStage: false", () => {
    const spans = (change: object) =>
      resolve({ train: { steps: 300 }, ...change }).map((stage) => [stage.scheduleFirstStep, stage.scheduleSteps]);
    expect(spans({})).toEqual([
      [0, 200],
      [200, 100],
    ]);
    expect(spans({ schedule: { perStage: false } })).toEqual([
      [0, 300],
      [0, 300],
    ]);
  });
});

describe("shares of steps and of FLOPs", () => {
  const falling = (of: string) => [
    { patchSize: 8, fraction: 0.1, of },
    { patchSize: 4, fraction: 0.2, of },
    { patchSize: 2, fraction: 0.3, of },
    { patchSize: 1 },
  ];
  const stepsOf = (change: object) => resolve(change, 0, made).map(({ steps }) => steps);

  it("of steps are what they say, in steps of any size", () => {
    expect(stepsOf({ train: { steps: 100 }, stages: falling("steps") })).toEqual([10, 20, 30, 40]);
    const stages = [
      { patchSize: 4, fraction: 0.5, of: "steps", batch: { tokensPerStep: 32768 } },
      { patchSize: 1, fraction: 0.5, of: "steps" },
    ];
    expect(stepsOf({ train: { steps: 31 }, stages })).toEqual([16, 15]);
    // 10 steps of 32768 tokens, and as many of 16384.
    expect(stepsOf({ train: { tokens: 491_520 }, stages })).toEqual([10, 10]);
  });

  it("of FLOPs cost what they say", () => {
    for (const train of [{ steps: 4000 }, { tokens: 4000 * 16384 }, { flops: 4000 * 16384 }]) {
      const stages = resolve({ train, stages: falling("flops") }, 0, made);
      const costs = stages.map((stage) => stage.steps * made(stage));
      const total = costs.reduce((a, b) => a + b, 0);
      [0.1, 0.2, 0.3, 0.4].forEach((share, index) => expect(costs[index]! / total).toBeCloseTo(share, 3));
    }
  });

  it("a length in FLOPs is met as nearly as whole steps allow, whatever the shares are of", () => {
    const [least, most] = [made({ patchSize: 8, sequenceLength: 256, positionsPerStep: 2048 }), 16384 * 1.1];
    for (const flops of [30, 100, 317.7, 1000].map((count) => count * most)) {
      for (const unit of ["tokens", "steps", "flops"]) {
        const stages = resolve({ train: { flops }, stages: falling(unit) }, 0, made);
        const total = stages.reduce((sum, stage) => sum + stage.steps * made(stage), 0);
        expect(Math.abs(total - flops)).toBeLessThanOrEqual(least / 2);
      }
    }
  });

  it("FLOPs need a count of them", () => {
    for (const change of [{ train: { flops: 1e9 } }, { stages: falling("flops") }]) {
      expect(() => resolve(change)).toThrow(TypeError);
      expect(() => resolve(change)).toThrow(
        "resolveStages: countFlops: expected a function, as the config counts in FLOPs, but received nothing",
      );
    }
  });

  it("below half a step are told in their unit", () => {
    const stages = (of: string) => [{ patchSize: 4, fraction: 0.001, of }, { patchSize: 1 }];
    expect(() => resolve({ train: { steps: 100 }, stages: stages("steps") })).toThrow(
      "stages[0]: expected a share of at least one step but received 0.1 steps of 100",
    );
    expect(() => resolve({ train: { flops: 1e6 }, stages: stages("flops") }, 0, made)).toThrow(
      "stages[0]: expected a share of at least one step of 5734 FLOPs but received 1000 FLOPs of 1000000",
    );
  });
});

describe("positionsPerStep", () => {
  const batch = { positionsPerStep: 16384, sequenceLength: 256 };

  it("gives every stage as many positions, and K times as many tokens", () => {
    const stages = resolve({
      train: { steps: 30 },
      batch,
      stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }],
    });
    expect(
      stages.map(({ tokensPerStep, positionsPerStep, sequencesPerStep }) => [
        tokensPerStep,
        positionsPerStep,
        sequencesPerStep,
      ]),
    ).toEqual([
      [65536, 16384, 64],
      [16384, 16384, 64],
    ]);
    expect(stages.map(({ steps }) => steps)).toEqual([6, 24]); // half of the tokens each
  });

  it("of a stage replaces the run's step, and is replaced by the stage's", () => {
    const sizes = (change: object) => resolve({ train: { steps: 30 }, ...change }).map((stage) => stage.tokensPerStep);
    const own = (size: object) => [{ patchSize: 4, fraction: 0.5, batch: size }, { patchSize: 1 }];
    expect(sizes({ stages: own({ positionsPerStep: 1024 }) })).toEqual([4096, 16384]);
    expect(sizes({ batch, stages: own({ tokensPerStep: 2048 }) })).toEqual([2048, 16384]);
    expect(sizes({ batch, stages: own({ sequenceLength: 128 }) })).toEqual([65536, 16384]);
  });
});

describe("labelWeightValues", () => {
  it.each([1, 2, 3, 12, 64])("sum to 1 for %i labels", (patchSize) => {
    for (const kind of ["uniform", "1/i"] as const) {
      const weights = labelWeightValues(kind, patchSize);
      expect(weights).toHaveLength(patchSize);
      expect(weights.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 14);
    }
  });
});
