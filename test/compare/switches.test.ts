/** The options from later work (token superposition): each is off by default, and each has its documented effect. */
import { beforeEach, describe, expect, it } from "@jest/globals";
import { labelWeightValues } from "../../lib/config/label_weights.js";
import { tinyConfig, writeTinyData } from "../support/made_comparison.js";
import { computed, runTo } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeTinyData(path()));

let runs = 0;
const train = (changes: Record<string, unknown> = {}) =>
  runTo(tinyConfig(path(), "cpu", { ...changes, out: path(`run${runs++}`) }));

describe("switches", () => {
  it("are off by default", async () => {
    const off = {
      labelWeights: "uniform",
      keepOptimizer: false,
      schedule: { type: "cosine", warmupSteps: 1, perStage: true },
    };
    expect(computed(await train(off))).toEqual(computed(await train()));
  });

  it("labelWeights 1/i weighs the label at distance i by 1/i, in the patch stage alone", async () => {
    const third = [1, 1 / 2, 1 / 3, 1 / 4].map((weight) => weight / (1 + 1 / 2 + 1 / 3 + 1 / 4));
    labelWeightValues("1/i", 4).forEach((weight, index) => expect(weight).toBeCloseTo(third[index]!, 12));
    expect(labelWeightValues("uniform", 4)).toEqual([0.25, 0.25, 0.25, 0.25]);
    expect(labelWeightValues("1/i", 1)).toEqual([1]);

    const uniform = await train();
    const near = await train({ labelWeights: "1/i" });
    expect(near[0]!.loss).not.toBe(uniform[0]!.loss);
    const stages = [{ patchSize: 1 }];
    const [plain, weighted] = [await train({ stages }), await train({ stages, labelWeights: "1/i" })];
    expect(computed(weighted)).toEqual(computed(plain));
  });

  it("perStage false and wsd: one schedule through both stages, its decay in the last tenth", async () => {
    const steps = await train({ schedule: { type: "wsd", warmupSteps: 2, perStage: false }, train: { steps: 20 } });
    expect(steps.map(({ stage }) => stage).indexOf(1)).toBe(13);
    expect(steps.map(({ lr }) => lr / 0.02)).toEqual([0.5, ...Array.from({ length: 17 }, () => 1), 0.5, 0]);
    const restarted = await train({ schedule: { type: "wsd", warmupSteps: 2 }, train: { steps: 20 } });
    expect(restarted[13]!.lr).toBe(0.01); // warms up again
    expect(restarted[12]!.lr).toBe(0); // after decaying to the stage's end
  });

  it("keepOptimizer: one optimizer state through both stages", async () => {
    const fresh = await train();
    const kept = await train({ keepOptimizer: true });
    // The loss is that before the update: the first one that can differ is the second of the second stage.
    expect(computed(kept.slice(0, 9))).toEqual(computed(fresh.slice(0, 9)));
    expect(kept[9]!.loss).not.toBe(fresh[9]!.loss);
  });
});
