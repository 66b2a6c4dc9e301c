/** The plan of a whole run: its sums, and what it refuses. */
import { describe, expect, it } from "@jest/globals";
import { parseRunConfig } from "../../lib/config/config.js";
import { ConfigError } from "../../lib/errors.js";
import { stepFlops } from "../../lib/nn/flops.js";
import { muonFlops } from "../../lib/optim/muon_layout.js";
import { gpuNamed } from "../../lib/plan/gpus.js";
import { planCluster } from "../../lib/plan/plan.js";

const base = {
  name: "planned",
  model: { preset: "llama-370m" },
  data: { train: "none", val: "none" },
  stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }],
  batch: { tokensPerStep: 262144, sequenceLength: 1024 },
  train: { steps: 100 },
};

function planOf(changes: object, gpus = 1, { gpusPerNode = 8, net = 50e9, mfu = 0.4 } = {}) {
  const config = parseRunConfig({ ...base, ...changes }, "run.yaml");
  const cluster = { gpu: gpuNamed("h100"), gpus, gpusPerNode, netBytesPerSecond: net };
  return planCluster({ label: "run.yaml", config }, config.model!, 0, cluster, mfu);
}

const shape = parseRunConfig(base, "run.yaml").model!;
const flopsOf = (patchSize: number) =>
  stepFlops(shape, { patchSize, sequenceLength: 1024, positionsPerStep: 262144 / patchSize });

describe("planCluster", () => {
  it("is the FLOPs at that share of the peak on one GPU", () => {
    const { staged, tokenLevel, bytesPerStep } = planOf({}, 1, { mfu: 0.5 });
    expect(bytesPerStep).toEqual({ reduceScatter: 0, allGather: 0 });
    const seconds = [4, 1].map((patchSize) => flopsOf(patchSize) / 989e12 / 0.5);
    staged!.stages.forEach(({ step, steps, patchSize }, index) => {
      expect({ steps, patchSize }).toEqual({ steps: 50, patchSize: [4, 1][index] });
      expect(step.seconds).toBeCloseTo(seconds[index]!, 9);
    });
    const all = 50 * (seconds[0]! + seconds[1]!);
    const { total } = staged!;
    expect(total).toMatchObject({ steps: 100, tokens: 26214400, efficiency: expect.closeTo(1, 9) });
    expect(total.seconds).toBeCloseTo(all, 6);
    expect(total.days).toBeCloseTo(all / 86400, 9);
    expect(total.gpuHours).toBeCloseTo(all / 3600, 9);
    expect(total.tokensPerDay).toBeCloseTo((26214400 / all) * 86400, 0);
    expect(tokenLevel.total).toMatchObject({ steps: 100, tokens: 26214400 });
    expect(tokenLevel.total.seconds).toBeCloseTo(100 * seconds[1]!, 6);
  });

  it("counts every GPU's hours, and what communication adds to them", () => {
    const [one, eight] = [planOf({}, 1), planOf({}, 8)];
    const stages = eight.staged!.stages;
    expect(eight.staged!.total.gpuHours).toBeGreaterThan(one.staged!.total.gpuHours);
    expect(eight.staged!.total.seconds).toBeLessThan(one.staged!.total.seconds / 7);
    for (const { step } of stages) {
      expect(step.seconds).toBeCloseTo(step.computeSeconds + step.exposedSeconds, 12);
      expect(step.efficiencyWithoutOverlap).toBeLessThan(step.efficiency);
    }
    // As much is sent for a quarter of the arithmetic.
    expect(stages[0]!.step.communicationSeconds).toBe(stages[1]!.step.communicationSeconds);
    expect(stages[0]!.step.efficiency).toBeLessThan(stages[1]!.step.efficiency);
    const weighted = stages.reduce((sum, { steps, step }) => sum + steps * step.computeSeconds, 0);
    expect(eight.staged!.total.efficiency).toBeCloseTo(weighted / eight.staged!.total.seconds, 12);
  });

  it("has the token-level run alone where there are no patches", () => {
    const { staged, tokenLevel } = planOf({ stages: [{ patchSize: 1 }] });
    expect(staged).toBeNull();
    expect(tokenLevel.stages).toHaveLength(1);
  });

  it("compares recipes, whose steps are as large in every stage, on the same tokens", () => {
    const { staged, tokenLevel } = planOf({ stages: undefined, recipe: "superposition" }, 8);
    expect(tokenLevel.total.tokens / staged!.total.tokens).toBeCloseTo(1, 2);
    expect(staged!.total.seconds).toBeLessThan(tokenLevel.total.seconds);
  });

  it("adds the products of Muon's steps", () => {
    const optimizer = { type: "muon", muon: { nsSteps: 5 } };
    const stage = planOf({ optimizer }).staged!.stages[0]!;
    expect(stage.flops).toBe(50 * flopsOf(4)); // the model's
    expect(stage.step.seconds).toBeCloseTo((flopsOf(4) + muonFlops(shape, 5)) / 989e12 / 0.4, 9);
  });
});

describe("planCluster refuses", () => {
  const refused = (changes: object, gpus: number, options = {}) => {
    const plan = () => planOf(changes, gpus, options);
    expect(plan).toThrow(ConfigError);
    return expect(plan).toThrow;
  };

  it("more GPUs than a stage has sequences, and says how many work", () => {
    // 64 sequences of 4096 tokens in the first stage, 256 of 1024 in the second.
    expect(planOf({}, 64).staged!.mostGpus).toBe(64);
    expect(planOf({}, 64).tokenLevel.mostGpus).toBe(256);
    refused(
      {},
      128,
    )(
      "--gpus: expected a divisor of the 64 sequences in a step of run.yaml, stages[0] (K = 4) but received 128; the " +
        "largest that works is 64; a larger batch has more sequences",
    );
    refused({}, 24)("but received 24; the largest that works is 64, 16 the nearest below;");
    refused({}, 6)("but received 6; the largest that works is 64, 4 the nearest below;");
  });

  it("machines that are not full", () => {
    refused(
      {},
      12,
    )("--gpus: expected a multiple of the 8 GPUs of a node (--gpus-per-node) but received 12; the nearest");
    expect(
      planOf({ batch: { tokensPerStep: 49152, sequenceLength: 1024 } }, 6, { gpusPerNode: 6 }).staged,
    ).toBeTruthy();
  });

  it("numbers of GPUs that leave a machine half empty, when it names the largest", () => {
    // Of the divisors of 60, only those up to 6 fit machines of eight; with six a machine, 60 do.
    const batch = { tokensPerStep: 60 * 4 * 1024, sequenceLength: 1024 };
    expect(planOf({ batch }, 6).staged!.mostGpus).toBe(6);
    expect(planOf({ batch }, 6, { gpusPerNode: 6 }).staged!.mostGpus).toBe(60);
    refused({ batch }, 16)("but received 16; the largest that works is 6; a larger");
  });

  it("passes that do not divide a rank's sequences", () => {
    const batch = { ...base.batch, microBatch: 8 };
    expect(planOf({ batch }, 8).staged!.stages[0]).toMatchObject({ microBatch: 8, sequencesPerRank: 8 });
    refused(
      { batch },
      16,
    )(
      "batch.microBatch: expected auto or a divisor of the 4 sequences that each of 16 GPUs has in a step of run.yaml, " +
        "stages[0] (K = 4) but received 8",
    );
  });

  it("Muon on several GPUs, and fp32", () => {
    refused({ optimizer: { type: "muon" } }, 8)("--gpus: expected 1 for optimizer.type muon");
    refused({ precision: "fp32" }, 8)("precision: expected auto or bf16, which a plan is made for, but received fp32");
  });
});
