/** Arithmetic and transfers side by side, by hand. */
import { describe, expect, it } from "@jest/globals";
import { overlappedSeconds } from "../../lib/plan/overlap.js";

const segment = (seconds: number, needs = 0) => ({ seconds, needs });

describe("overlappedSeconds", () => {
  it("hides a transfer behind what is computed after what it waits for", () => {
    // The first may begin at 1 and is done at 3; the last begins at 4.
    expect(overlappedSeconds([segment(1), segment(3)], [segment(2, 1), segment(0.5, 2)], 0)).toBe(4.5);
  });

  it("exposes what is longer than the arithmetic beside it", () => {
    expect(overlappedSeconds([segment(1), segment(1)], [segment(3, 1), segment(1, 2)], 0)).toBe(5);
  });

  it("lets arithmetic wait for what it needs", () => {
    // The first segment begins at 1, when the first transfer is done; the second waits until 3.
    expect(overlappedSeconds([segment(1, 1), segment(1, 2)], [segment(1), segment(2)], 0)).toBe(4);
  });

  it("slows arithmetic down while a transfer is under way", () => {
    // In 2 s of transfer 1.5 s of arithmetic are done, and 2.5 s remain.
    expect(overlappedSeconds([segment(4)], [segment(2)], 0.25)).toBe(4.5);
  });

  it("takes what is computed where nothing is sent, and the other way round", () => {
    expect(overlappedSeconds([segment(2), segment(3)], [], 0.25)).toBe(5);
    expect(overlappedSeconds([], [segment(2)], 0.25)).toBe(2);
  });

  it("refuses queues that wait for each other", () => {
    expect(() => overlappedSeconds([segment(1, 1)], [segment(1, 1)], 0)).toThrow("each queue waits for the other");
  });
});
