import { describe, expect, it } from "@jest/globals";
import { parseRunConfig } from "../../lib/config/config.js";
import { checkRanks } from "../../lib/config/rank_checks.js";
import { ConfigError } from "../../lib/errors.js";
import { Sharding } from "../../lib/nn/sharding.js";

function made(changes: Record<string, unknown> = {}) {
  return parseRunConfig(
    {
      name: "made",
      model: { preset: "tiny" },
      data: { train: "none" },
      stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }],
      batch: { tokensPerStep: 24 * 64, sequenceLength: 64 },
      train: { steps: 4 },
      ...changes,
    },
    "made",
  );
}

describe("checkRanks", () => {
  it("takes what divides the sequences of every stage", () => {
    for (const ranks of [1, 2, 3, 6]) expect(() => checkRanks(made(), ranks)).not.toThrow();
  });

  it("names the stage whose sequences cannot be shared, and the most ranks that can", () => {
    expect(() => checkRanks(made(), 4)).toThrow(
      new ConfigError(
        "parallel.ranks: expected a number that divides the 6 sequences of a step of stages.0 (K = 4), such as 3, at most 6 " +
          "in all stages, but received 4; for more ranks, make the step larger (batch.tokensPerStep) or its sequences shorter",
      ),
    );
  });

  it("counts whole micro-batches", () => {
    const batch = { tokensPerStep: 24 * 64, sequenceLength: 64, microBatch: 3 };
    expect(() => checkRanks(made({ batch }), 2)).not.toThrow();
    expect(() => checkRanks(made({ batch }), 3)).toThrow(/stages\.0 \(K = 4\) in micro-batches of 3, at most 2 in all/);
  });

  it("refuses Muon, of several ranks only", () => {
    const muon = made({ optimizer: { type: "muon" } });
    expect(() => checkRanks(muon, 1)).not.toThrow();
    expect(() => checkRanks(muon, 2)).toThrow(
      new ConfigError("optimizer.type: expected adamw for 2 ranks but received muon, which needs whole matrices"),
    );
  });
});

describe("Sharding", () => {
  it("cuts all elements into aligned parts, each of one rank", () => {
    const [size, elements, alignment] = [3, 64 * 3 * 5, 64];
    const owner = new Array<number>(elements).fill(-1);
    for (let rank = 0; rank < size; rank++) {
      const sharding = new Sharding({ rank, size, bucketParameters: 300 }, elements, alignment);
      expect(sharding.buckets.map((bucket) => bucket.size)).toEqual([384, 384, 192]);
      for (const bucket of sharding.buckets) {
        const begin = sharding.ownBegin(bucket);
        expect(begin % alignment).toBe(0);
        expect(owner.slice(begin, begin + bucket.size / size).every((each) => each === -1)).toBe(true);
        owner.fill(rank, begin, begin + bucket.size / size);
      }
    }
    expect(owner).not.toContain(-1);
  });

  it("finds the decayed elements of a part", () => {
    const sharding = new Sharding({ rank: 1, size: 2, bucketParameters: Number.POSITIVE_INFINITY }, 256, 64);
    const [bucket] = sharding.buckets;
    // The part has the elements from 128 on.
    expect([100, 128, 200, 256].map((decayed) => sharding.ownDecayed(bucket!, decayed))).toEqual([0, 0, 72, 128]);
  });
});
