/** The search for the best rate, on losses that are made up. */
import { describe, expect, it } from "@jest/globals";
import { Arguments } from "../../lib/arguments.js";
import { checkTune, parseTune } from "../../lib/compare/tune_grid.js";
import { bestOf, isAtEdge, mostBeyond, searchGrid } from "../../lib/compare/tune_search.js";

/** Searches with the loss that a rate has, by schedule. */
async function search(
  rates: readonly number[],
  loss: (lr: number, schedule: string) => number,
  schedules = ["cosine"],
) {
  const beyond: number[] = [];
  const measured: number[] = [];
  const grid = await searchGrid({
    rates,
    schedules: schedules as ("cosine" | "wsd")[],
    measure: async (lr, schedule) => {
      measured.push(lr);
      return loss(lr, schedule);
    },
    onBeyond: (_, next) => beyond.push(next),
  });
  return { grid, beyond, measured };
}

/** Lowest at a rate. */
const lowestAt = (best: number) => (lr: number) => 2 + Math.log2(lr / best) ** 2;

describe("searchGrid", () => {
  it("tries the rates, each once, in ascending order", async () => {
    const { grid, beyond, measured } = await search([0.008, 0.002, 0.004, 0.004], lowestAt(0.004));
    expect(measured).toEqual([0.002, 0.004, 0.008]);
    expect(beyond).toEqual([]);
    expect(bestOf(grid)).toEqual({ lr: 0.004, schedule: "cosine", valLoss: 2 });
    expect(isAtEdge(grid, bestOf(grid))).toBe(false);
  });

  it.each([
    { best: 0.03, beyond: [0.016, 0.032, 0.064] },
    { best: 0.0011, beyond: [0.001, 0.0005] },
  ])("goes on by the grid's own factor from an edge, until the best is inside: $best", async ({ best, beyond }) => {
    const found = await search([0.002, 0.004, 0.008], lowestAt(best));
    expect(found.beyond).toEqual(beyond);
    const rates = found.grid.map(({ lr }) => lr);
    expect(rates).toEqual([...rates].sort((a, b) => a - b));
    expect(isAtEdge(found.grid, bestOf(found.grid))).toBe(false);
  });

  it("keeps to the factor at that edge of an uneven grid", async () => {
    expect((await search([1e-3, 3e-3, 6e-3], lowestAt(3e-4))).beyond).toEqual([0.000333333, 0.000111111]);
    expect((await search([1e-3, 3e-3, 6e-3], lowestAt(1e-2))).beyond).toEqual([0.012, 0.024]);
  });

  it("stops after a few, and then the best is at the edge", async () => {
    const { grid, beyond } = await search([0.001, 0.002], lowestAt(1));
    expect(beyond).toHaveLength(mostBeyond);
    expect(bestOf(grid).lr).toBe(0.032);
    expect(isAtEdge(grid, bestOf(grid))).toBe(true);
  });

  it("has no factor to go on by from a single rate", async () => {
    const { grid, beyond } = await search([0.001], lowestAt(1));
    expect(beyond).toEqual([]);
    expect(isAtEdge(grid, bestOf(grid))).toBe(false);
  });

  it("takes a run that diverged for the worst", async () => {
    const diverges = (lr: number) => (lr > 0.003 ? Number.NaN : lowestAt(0.01)(lr));
    const { grid, beyond } = await search([0.001, 0.002, 0.004], diverges);
    expect(beyond).toEqual([]);
    expect(bestOf(grid).lr).toBe(0.002);
    expect(bestOf((await search([0.1, 0.2], () => Number.NaN)).grid).valLoss).toBeNaN();
  });

  it("searches each schedule by itself", async () => {
    const loss = (lr: number, schedule: string) => (schedule === "wsd" ? 1 + lowestAt(0.016)(lr) : lowestAt(0.004)(lr));
    const { grid, beyond } = await search([0.002, 0.004, 0.008], loss, ["cosine", "wsd"]);
    expect(beyond).toEqual([0.016, 0.032]);
    expect(grid.map(({ schedule }) => schedule)).toEqual([...Array(3).fill("cosine"), ...Array(5).fill("wsd")]);
    expect(bestOf(grid)).toMatchObject({ lr: 0.004, schedule: "cosine" });
  });
});

describe("parseTune", () => {
  it("reads rates, schedules and a share", () => {
    expect(parseTune(["lr=4e-3,8e-3", "schedule=cosine,wsd", "share=0.1"])).toEqual({
      lr: [0.004, 0.008],
      schedule: ["cosine", "wsd"],
      share: 0.1,
    });
    expect(parseTune(["schedule=wsd"])).toEqual({ schedule: ["wsd"] });
  });

  it.each([
    { texts: ["lr=0"], says: /texts\[0\]: expected numbers above 0.* after lr= but received the string "0"$/ },
    { texts: ["schedule=linear"], says: /expected cosine, wsd, constant, .* but received the string "linear"$/ },
    { texts: ["lr=1", "share=2"], says: /texts\[1\]: expected a number above 0, at most 1/ },
    { texts: ["lr=1", "share=0.1,0.2"], says: /texts: expected one value after share= but received .*"0\.1,0\.2"$/ },
    { texts: ["share=0.1"], says: /texts: expected lr=RATE,\.\.\. or schedule=TYPE,\.\.\. but received/ },
    { texts: ["rate=1"], says: /expected lr=RATE,\.\.\., schedule=TYPE,\.\.\. or share=S but received .*"rate=1"$/ },
    { texts: ["__proto__=1"], says: /expected lr=RATE/ },
  ])("refuses $texts", ({ texts, says }) => {
    expect(() => parseTune(texts)).toThrow(RangeError);
    expect(() => parseTune(texts)).toThrow(says);
  });

  it("checks the same of an argument", () => {
    const check = (value: object) => () => checkTune(new Arguments("compare"), "tune", value);
    check({ lr: [1], schedule: ["wsd"], share: 1 })();
    expect(check({})).toThrow("compare: tune: expected one or more values of lr or of schedule but received none");
    expect(check({ lr: [] })).toThrow(RangeError);
    expect(check({ lr: [0] })).toThrow("compare: tune.lr[0]: expected one of the numbers above 0 but received 0");
    expect(check({ schedule: ["linear"] })).toThrow(/tune\.schedule\[0\]: expected cosine, wsd or constant/);
    expect(check({ lr: [1], share: 0 })).toThrow("tune.share: expected a number above 0, at most 1 but received 0");
  });
});
