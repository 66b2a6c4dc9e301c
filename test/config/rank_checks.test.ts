import { describe, expect, it } from "@jest/globals";
import { parseRunConfig } from "../../lib/config/config.js";
import { checkRanks, startedRanks } from "../../lib/config/rank_checks.js";
import { ConfigError } from "../../lib/errors.js";
import { type RankShare, Sharding } from "../../lib/nn/sharding.js";

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
        "parallel.ranks: expected a number that divides the 6 sequences of a step of stages[0] (K = 4), such as 3, at most 6 " +
          "in all stages, but received 4; for more ranks, make the step larger (batch.tokensPerStep) or its sequences shorter",
      ),
    );
  });

  it("counts whole micro-batches", () => {
    const batch = { tokensPerStep: 24 * 64, sequenceLength: 64, microBatch: 3 };
    expect(() => checkRanks(made({ batch }), 2)).not.toThrow();
    expect(() => checkRanks(made({ batch }), 3)).toThrow(
      /stages\[0\] \(K = 4\) in micro-batches of 3, at most 2 in all/,
    );
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
  const layers = Array.from({ length: 4 }, (_, part) => ({ part, begin: 768 + part * 384, size: 384 }));
  const units = [
    { part: "embedding" as const, begin: 0, size: 768 },
    ...layers,
    { part: "head" as const, begin: 2304, size: 768 },
    { part: "vectors" as const, begin: 3072, size: 192 },
  ];
  const shareOf = (rank: number, bucketParameters: number): RankShare => {
    return { rank, size: 3, bucketParameters, overlap: true, zero: 2 };
  };

  it("cuts all elements into aligned parts, each of one rank", () => {
    const alignment = 64;
    const owner = new Array<number>(3264).fill(-1);
    for (let rank = 0; rank < 3; rank++) {
      const sharding = new Sharding(shareOf(rank, 350), units, alignment);
      expect(sharding.buckets.map((bucket) => bucket.size)).toEqual([384, 384, 384, 384, 384, 384, 384, 384, 192]);
      for (const bucket of sharding.buckets) {
        const begin = sharding.ownBegin(bucket);
        expect(begin % alignment).toBe(0);
        expect(owner.slice(begin, begin + bucket.size / 3).every((each) => each === -1)).toBe(true);
        owner.fill(rank, begin, begin + bucket.size / 3);
      }
    }
    expect(owner).not.toContain(-1);
  });

  it("takes layers together, and gives those that are computed at once places of their own", () => {
    const { groups, stagedSize } = new Sharding(shareOf(0, 500), units, 64);
    expect(groups.map(({ parts, buckets }) => [parts, buckets.length])).toEqual([
      [["embedding"], 1],
      [[0, 1], 1],
      [[2, 3], 1],
      [["head"], 1],
      [["vectors"], 1],
    ]);
    expect(stagedSize).toBe(768 + 2 * 768 + 192);
    const [embedding, first, second, head, vectors] = groups.map(({ staged }) => staged);
    expect(head).toBe(embedding);
    expect(new Set([embedding, first, second, vectors]).size).toBe(4);
  });

  it("finds the decayed elements of a part", () => {
    const share = { ...shareOf(1, 1e9), size: 2 };
    const sharding = new Sharding(share, [{ part: "embedding", begin: 0, size: 256 }], 64);
    const [bucket] = sharding.buckets;
    // The part has the elements from 128 on.
    expect([100, 128, 200, 256].map((decayed) => sharding.ownDecayed(bucket!, decayed))).toEqual([0, 0, 72, 128]);
  });
});

describe("parallel.devices", () => {
  const parsed = (parallel: object) => made({ parallel });

  it("is a rank for each, and fits parallel.ranks", () => {
    expect(startedRanks(parsed({ devices: [0, 1, 3] }).parallel)).toBe(3);
    expect(startedRanks(parsed({ ranks: 2 }).parallel)).toBe(2);
    expect(() => parsed({ devices: [0, 1], ranks: 3 })).toThrow(
      /parallel\.ranks: expected 2, one for each of parallel\.devices, but received 3/,
    );
    expect(() => parsed({ devices: [1, 1] })).toThrow(/parallel\.devices: expected different numbers/);
  });
});
