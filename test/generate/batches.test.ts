import { describe, expect, it } from "@jest/globals";
import { batches } from "../../lib/generate/batches.js";

describe("batches", () => {
  const limits = { context: 1024, maxTokens: 10, tokenBytes: 1 };

  it("has all prompts once, those of similar lengths together", () => {
    expect(batches([5, 30, 15, 4, 26, 15], limits)).toEqual([
      [3, 0],
      [2, 5],
      [4, 1],
    ]);
    expect(batches([5, 15, 5], limits)).toEqual([[0, 2, 1]]);
    expect(batches([7], limits)).toEqual([[0]]);
  });

  it("has at most 64 sequences", () => {
    expect(batches(new Array<number>(130).fill(3), limits).map(({ length }) => length)).toEqual([64, 64, 2]);
  });

  it("keeps its keys and values within a gibibyte, but for a single sequence", () => {
    const tokenBytes = 2 ** 20;
    expect(batches([246, 246, 246, 246, 246], { ...limits, tokenBytes })).toEqual([[0, 1, 2, 3], [4]]);
    expect(batches([1020, 1020], { ...limits, tokenBytes })).toEqual([[0], [1]]);
    expect(batches([2000, 2000], { ...limits, context: 2 ** 20, tokenBytes })).toEqual([[0], [1]]);
  });
});
