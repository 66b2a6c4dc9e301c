/** Where runs of two lengths begin to differ: compared with every step's stage and rate. */
import { expect, it } from "@jest/globals";
import { parseRunConfig } from "../../lib/config/config.js";
import { learningRate } from "../../lib/config/schedule.js";
import { type ResolvedStage, resolveStages } from "../../lib/config/stages.js";
import { firstDifference } from "../../lib/train/first_difference.js";

const stages = (steps: number, schedule: object, boundary: number) => {
  const config = {
    name: "r",
    model: { preset: "tiny" },
    data: { train: "train.bin" },
    batch: { tokensPerStep: 64, sequenceLength: 16 },
    stages: boundary === 0 ? [{ patchSize: 1 }] : [{ patchSize: 4, steps: boundary }, { patchSize: 1 }],
    train: { steps },
    schedule,
  };
  return resolveStages(parseRunConfig(config), 0);
};

/** The stage and the rate of every step. */
const steps = (of: readonly ResolvedStage[]) =>
  of.flatMap(({ index, firstStep, steps: count, schedule, scheduleFirstStep, scheduleSteps }) =>
    Array.from({ length: count }, (_, step) => {
      const rate = learningRate(schedule, 1, firstStep + step - scheduleFirstStep, scheduleSteps);
      return `${index} ${rate}`;
    }),
  );

it("is the first step of another stage or rate", () => {
  const found = new Set<string>();
  for (const type of ["cosine", "wsd", "constant"]) {
    for (const warmupSteps of [0, 3, 9]) {
      for (const perStage of [true, false]) {
        for (const [old, now] of [
          [12, 12],
          [12, 20],
          [20, 12],
          [7, 9],
          [12, 13],
        ] as const) {
          for (const [before, after] of [
            [0, 0],
            [5, 5],
            [5, 6],
          ] as const) {
            const schedule = { type, warmupSteps, perStage, ...(type === "wsd" && { decayFraction: 0.4 }) };
            const [a, b] = [stages(old, schedule, before), stages(now, schedule, after)];
            const [first, second] = [steps(a), steps(b)];
            const expected = first.findIndex((step, index) => step !== second[index]);
            const same = expected === -1 ? first.length : expected;
            const difference = firstDifference(a, b, true);
            if (first.join() === second.join()) expect(difference).toBeNull();
            else expect({ schedule, old, now, before, after, step: difference?.step }).toMatchObject({ step: same });
            found.add(difference === null ? "none" : difference.schedule === null ? "length" : "rate");
          }
        }
      }
    }
  }
  expect([...found].sort()).toEqual(["length", "none", "rate"]);
});
