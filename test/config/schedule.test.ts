import { describe, expect, it } from "@jest/globals";
import { learningRate, type Schedule } from "../../lib/config/schedule.js";

const cosine: Schedule = { type: "cosine", warmupSteps: 4, minLrRatio: 0.1, decayFraction: 0.1 };
const rates = (schedule: Schedule, steps: number, baseLr = 1) =>
  Array.from({ length: steps }, (_, step) => learningRate(schedule, baseLr, step, steps));

function expectRates(actual: number[], expected: number[]) {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((rate, step) => expect([step, rate]).toEqual([step, expect.closeTo(expected[step]!, 12)]));
}

describe("learningRate", () => {
  it("warms up from 1/W to the full rate, then falls along half a cosine to the ratio at the last step", () => {
    const half = (angle: number) => 0.1 + 0.9 * ((1 + Math.cos(angle)) / 2);
    expectRates(rates(cosine, 9), [
      0.25,
      0.5,
      0.75,
      1,
      half(0),
      half(Math.PI / 4),
      half(Math.PI / 2),
      half((3 * Math.PI) / 4),
      0.1,
    ]);
    expect(learningRate({ ...cosine, minLrRatio: 0 }, 3e-4, 8, 9)).toBe(0);
    expect(learningRate(cosine, 3e-4, 4, 9)).toBe(3e-4);
  });

  it("constant stays at the full rate, whatever the ratio", () => {
    expectRates(rates({ ...cosine, type: "constant", warmupSteps: 2 }, 5, 2), [1, 2, 2, 2, 2]);
  });

  it("wsd is stable, then falls in a straight line over the last part", () => {
    const wsd: Schedule = { type: "wsd", warmupSteps: 2, minLrRatio: 0.2, decayFraction: 0.4 };
    expectRates(rates(wsd, 10), [0.5, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]);
    expectRates(rates({ ...wsd, decayFraction: 0 }, 4), [0.5, 1, 1, 1]);
  });

  it("wsd's decay never reaches into the warm-up", () => {
    const wsd: Schedule = { type: "wsd", warmupSteps: 3, minLrRatio: 0, decayFraction: 1 };
    expectRates(rates(wsd, 5), [1 / 3, 2 / 3, 1, 0.5, 0]);
  });

  it.each(["cosine", "wsd", "constant"] as const)("%s: a warm-up longer than the stage is cut to it", (type) => {
    expectRates(rates({ ...cosine, type, warmupSteps: 1000 }, 4), [0.25, 0.5, 0.75, 1]);
  });

  it("trains at the full rate where one step is all there is", () => {
    expectRates(rates({ ...cosine, minLrRatio: 0, warmupSteps: 0 }, 1), [1]);
    expectRates(rates({ ...cosine, minLrRatio: 0, warmupSteps: 2 }, 3), [0.5, 1, 1]);
  });

  it.each([
    [-1, 5],
    [5, 5],
    [0.5, 5],
    [0, 0],
    [Number.NaN, 5],
  ])("refuses step %p of %p", (step, steps) => {
    expect(() => learningRate(cosine, 1, step, steps)).toThrow(RangeError);
  });

  it.each([
    { wrong: { type: "linear" }, kind: RangeError },
    { wrong: { warmupSteps: -1 }, kind: RangeError },
    { wrong: { minLrRatio: "0" }, kind: TypeError },
    { wrong: { decayFraction: 2 }, kind: RangeError },
  ])("refuses a schedule with $wrong", ({ wrong, kind }) => {
    const [key] = Object.keys(wrong);
    const rate = () => learningRate({ ...cosine, ...wrong } as Schedule, 1, 0, 5);
    expect(rate).toThrow(kind);
    expect(rate).toThrow(new RegExp(`^learningRate: schedule\\.${key}: expected .+ but received `));
  });
});
