import { readFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { cases, grid, open } from "../support/backends.js";
import { drawSamples, repeated, type SampleOptions } from "../support/sampling.js";

/** test/fixtures/make_sampling.py: the probabilities that transformers samples by. */
const { logits: row, cases: chains } = JSON.parse(
  readFileSync(new URL("../fixtures/sampling.json", import.meta.url), "utf8"),
) as { logits: number[]; cases: { settings: SampleOptions; history: number[]; probabilities: number[] }[] };

describe.each(grid)("what sample draws on $backend in $dtype", ({ backend, dtype }) => {
  const device = open(backend);
  const draws = cases(backend, [8192], [256])[0]!;
  // Finding where the candidates end takes tens of sums over the row: the simulated device draws few rows so.
  const drawsFromSome = cases(backend, [8192], [16])[0]!;

  const byLogit = row.map((_, id) => id).sort((a, b) => row[b]! - row[a]!);

  /** Draws against the probabilities of `candidates`. */
  function expectDistribution(options: SampleOptions, candidates: readonly number[]): Promise<void> {
    const weights = row.map((x, id) => (candidates.includes(id) ? Math.exp(x / (options.temperature ?? 1)) : 0));
    const total = weights.reduce((a, b) => a + b, 0);
    return expectProbabilities(
      options,
      weights.map((weight) => weight / total),
    );
  }

  /** Draws against probabilities, by chi square; 64 is past 1e-8 for 12 degrees of freedom. */
  async function expectProbabilities(options: SampleOptions, probabilities: readonly number[]): Promise<void> {
    const times = probabilities.includes(0) ? drawsFromSome : draws;
    const counts = new Array<number>(row.length).fill(0);
    for (const id of await drawSamples(device, dtype, repeated(row, times), times, options)) counts[id]! += 1;
    let chiSquare = 0;
    probabilities.forEach((probability, id) => {
      const expected = times * probability;
      if (probability === 0) expect(counts[id]).toBe(0);
      else chiSquare += (counts[id]! - expected) ** 2 / expected;
    });
    expect(chiSquare).toBeLessThan(64);
  }

  it.each(cases(backend, [0.5, 1, 2], [0.5, 2]))("follows the softmax at temperature %d", (temperature) =>
    expectDistribution({ temperature, seed: 3 }, byLogit),
  );

  it.each(cases(backend, [2, 5, 13, 100], [5, 100]))("draws from the %i largest", (topK) =>
    expectDistribution({ topK, seed: 4 }, byLogit.slice(0, topK)),
  );

  it.each(cases(backend, [0.4, 0.6, 0.9, 0.99], [0.9]))("draws from the smallest set that reaches %d", (topP) => {
    const weights = byLogit.map((id) => Math.exp(row[id]!));
    const total = weights.reduce((a, b) => a + b, 0);
    let reached = 0;
    const size =
      1 +
      weights.findIndex((weight) => {
        reached += weight / total;
        return reached >= topP;
      });
    return expectDistribution({ topP, seed: 5 }, byLogit.slice(0, size));
  });

  it("applies top-p to what top-k leaves", () => {
    // Of the three largest, the first two have 70% of the probability but not of that of all tokens.
    const weights = byLogit.map((id) => Math.exp(row[id]!));
    const [a, b, c] = weights;
    expect((a! + b!) / (a! + b! + c!)).toBeGreaterThan(0.7);
    expect((a! + b!) / weights.reduce((x, y) => x + y)).toBeLessThan(0.7);
    return expectDistribution({ topK: 3, topP: 0.7, seed: 6 }, byLogit.slice(0, 2));
  });

  const few = [2, 6, 7, 10, 12];
  it.each(
    cases(
      backend,
      chains,
      few.map((index) => chains[index]!),
    ),
  )("draws as transformers does: $settings", ({ settings, history, probabilities }) => {
    const seen = settings.repetitionPenalty === undefined ? {} : { history };
    return expectProbabilities({ ...settings, ...seen, seed: 7 }, probabilities);
  });
});
