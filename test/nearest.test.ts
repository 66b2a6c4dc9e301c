import { describe, expect, it } from "@jest/globals";
import { editDistance, nearestKey } from "../lib/nearest.js";

describe("editDistance", () => {
  it.each<[string, string, number]>([
    ["", "", 0],
    ["", "abc", 3],
    ["abc", "", 3],
    ["kitten", "sitting", 3],
    ["lenght", "length", 1],
    ["ca", "abc", 3],
    ["seed", "seed", 0],
  ])("%p to %p is %i", (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });
});

describe("nearestKey", () => {
  const known = ["weightDecay", "warmupSteps", "lr", "eps"];
  it.each<[string, string | undefined]>([
    ["weight_decay", "weightDecay"],
    ["WARMUPSTEPS", "warmupSteps"],
    ["warmup", "warmupSteps"],
    ["esp", "eps"],
    ["learningRateOfTheRun", undefined],
  ])("%s is %s", (key, expected) => expect(nearestKey(key, known)).toBe(expected));

  it("keeps to its limit", () => {
    expect(nearestKey("hiden_sise", ["hidden_size"], 2)).toBe("hidden_size");
    expect(nearestKey("hidn_sise", ["hidden_size"], 2)).toBeUndefined();
  });

  it("counts no edits of a key that is far too long", () => {
    expect(nearestKey("l".repeat(2 ** 28), known)).toBeUndefined(); // counted, they would take minutes
  });
});
