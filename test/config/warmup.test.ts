import { describe, expect, test } from "@jest/globals";
import { endlessWarmups } from "../../lib/config/warmup.js";

const stage = (index: number, firstStep: number, steps: number, scheduleFirstStep: number, warmupSteps: number) => {
  return { index, patchSize: index === 0 ? 4 : 1, firstStep, steps, scheduleFirstStep, schedule: { warmupSteps } };
};

describe("warm-ups that are as long as a stage", () => {
  test("are told where one schedule spans the run", () => {
    expect(endlessWarmups([stage(0, 0, 60, 0, 100), stage(1, 60, 140, 0, 100)])).toEqual([
      "stages[0] (K = 4): the learning rate rises through all its 60 steps: schedule.warmupSteps is 100",
    ]);
  });

  test("are told of a later stage with a schedule of its own", () => {
    expect(endlessWarmups([stage(0, 0, 60, 0, 59), stage(1, 60, 20, 60, 20)])).toEqual([
      "stages[1] (K = 1): the learning rate rises through all its 20 steps: schedule.warmupSteps is 20",
    ]);
  });

  test("are not told where the rate comes to its height, nor where there is no warm-up", () => {
    expect(endlessWarmups([stage(0, 0, 60, 0, 59), stage(1, 60, 60, 0, 59)])).toEqual([]);
    expect(endlessWarmups([stage(0, 0, 1, 0, 0), stage(1, 1, 1, 1, 1)])).toEqual([]);
  });
});
