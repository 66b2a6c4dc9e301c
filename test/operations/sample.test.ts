import { readFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { native } from "../../lib/native.js";
import { cases, grid, open } from "../support/backends.js";
import { expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { normals } from "../support/numbers.js";

interface Options {
  repetitionPenalty?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  seed?: number;
  counter?: number;
  /** The ids that occurred, the same for every row. */
  history?: readonly number[];
  streams?: readonly number[];
}

/** test/fixtures/make_sampling.py: the probabilities that transformers samples by. */
const { logits: row, cases: chains } = JSON.parse(
  readFileSync(new URL("../fixtures/sampling.json", import.meta.url), "utf8"),
) as { logits: number[]; cases: { settings: Options; history: number[]; probabilities: number[] }[] };

describe.each(grid)("sample on $backend in $dtype", ({ backend, dtype }) => {
  const device = open(backend);
  const draws = cases(backend, [8192], [256])[0]!;
  // Finding where the candidates end takes tens of sums over the row: the simulated device draws few rows so.
  const drawsFromSome = cases(backend, [8192], [16])[0]!;

  function enqueue(memory: Memory, logits: Float64Array, rows: number, options: Options = {}) {
    const { repetitionPenalty = 1, temperature = 1, topK = 0, topP = 1, minP = 0, seed = 1, counter = 0 } = options;
    const out = memory.output("i32", [rows]);
    const v = logits.length / rows;
    const workspace = memory.workspace("f32", native.sampleWorkspace(memory.device, rows, v));
    const ids = options.history;
    native.sample(
      out,
      memory.input(dtype, [rows, v], logits),
      ids === undefined ? null : memory.input("i32", [rows, ids.length], repeated(ids, rows)),
      options.streams === undefined ? null : memory.input("i32", [rows], options.streams),
      workspace,
      repetitionPenalty,
      temperature,
      topK,
      topP,
      minP,
      seed,
      counter,
    );
    return out;
  }

  async function draw(logits: Float64Array, rows: number, options: Options = {}, guard = 64): Promise<number[]> {
    const memory = new Memory(device, { guard });
    const drawn = [...(await values(enqueue(memory, logits, rows, options)))];
    await memory.verify();
    return drawn;
  }

  /** The same row so many times: every row has a draw of its own. */
  const repeated = (row: readonly number[], times: number): Float64Array =>
    Float64Array.from({ length: times * row.length }, (_, i) => row[i % row.length]!);

  const byLogit = row.map((_, id) => id).sort((a, b) => row[b]! - row[a]!);

  /** Draws against the probabilities of `candidates`. */
  function expectDistribution(options: Options, candidates: readonly number[]): Promise<void> {
    const weights = row.map((x, id) => (candidates.includes(id) ? Math.exp(x / (options.temperature ?? 1)) : 0));
    const total = weights.reduce((a, b) => a + b, 0);
    return expectProbabilities(
      options,
      weights.map((weight) => weight / total),
    );
  }

  /** Draws against probabilities, by chi square; 64 is past 1e-8 for 12 degrees of freedom. */
  async function expectProbabilities(options: Options, probabilities: readonly number[]): Promise<void> {
    const times = probabilities.includes(0) ? drawsFromSome : draws;
    const counts = new Array<number>(row.length).fill(0);
    for (const id of await draw(repeated(row, times), times, options)) counts[id]! += 1;
    let chiSquare = 0;
    probabilities.forEach((probability, id) => {
      const expected = times * probability;
      if (probability === 0) expect(counts[id]).toBe(0);
      else chiSquare += (counts[id]! - expected) ** 2 / expected;
    });
    expect(chiSquare).toBeLessThan(64);
  }

  it.each(
    cases(
      backend,
      [
        [1, 997],
        [3, 997],
        [31, 40],
        [2, 8193],
      ],
      [
        [1, 97],
        [3, 40],
      ],
    ).flatMap(([rows, v]) => [64, 61].map((guard) => [rows!, v!, guard] as const)),
  )("temperature 0 takes the largest of %i rows of %i, guard %i", async (rows, v, guard) => {
    const logits = normals(rows * v, 2, dtype);
    const largest = Array.from({ length: rows }, (_, r) => {
      const of = logits.subarray(r * v, (r + 1) * v);
      return of.indexOf(Math.max(...of));
    });
    expect(await draw(logits, rows, { temperature: 0 }, guard)).toEqual(largest);
    expect(await draw(logits, rows, { topK: 1 }, guard)).toEqual(largest);
  });

  it("takes the lowest id among equals", async () => {
    const logits = new Float64Array(3 * 1000).fill(-1);
    for (const at of [999, 500, 17, 1000 + 999, 1000 + 998, 2000, 2000 + 1]) logits[at] = 4;
    expect(await draw(logits, 3, { temperature: 0 })).toEqual([17, 998, 0]);
    expect(await draw(logits, 3, { topK: 1 })).toEqual([17, 998, 0]);
    expect(await draw(logits, 3, { topP: 0 })).toEqual([17, 998, 0]);
  });

  it("never draws what is -inf", async () => {
    const logits = new Float64Array(64 * 5).fill(-Infinity).map((x, i) => (i % 5 === 2 ? 0 : x));
    expect(new Set(await draw(logits, 64))).toEqual(new Set([2]));
  });

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

  it("cuts equal logits by id", async () => {
    const equal = new Array<number>(16).fill(1);
    const ids = await draw(repeated(equal, drawsFromSome), drawsFromSome, { topK: 3 });
    expect([...new Set(ids)].sort((a, b) => a - b)).toEqual([0, 1, 2]);
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

  it("penalises no id outside the vocabulary, and no row for another's", async () => {
    const logits = repeated([2, 1.75, 1], 2);
    const memory = new Memory(device);
    const out = memory.output("i32", [2]);
    const workspace = memory.workspace("f32", native.sampleWorkspace(device, 2, 3));
    const history = memory.input("i32", [2, 4], [-1, 0, 3, 2 ** 31 - 1, -1, 2, -(2 ** 31), 3]);
    native.sample(out, memory.input(dtype, [2, 3], logits), history, null, workspace, 1.5, 0, 0, 1, 0, 1, 0);
    expect([...(await values(out))]).toEqual([1, 0]);
    await memory.verify();
  });

  it("takes the lowest id of those that are equal once penalised", async () => {
    // 3 / 1.5 = 2, and -0 is 0.
    const options = { temperature: 0, repetitionPenalty: 1.5 };
    expect(await draw(Float64Array.of(0, 3, 2, 2), 1, { ...options, history: [1, 1] })).toEqual([1]);
    expect(await draw(Float64Array.of(0, 2, 2, 3), 1, { ...options, history: [3] })).toEqual([1]);
    expect(await draw(Float64Array.of(-1, -0, 0, -0), 1, options)).toEqual([1]);
  });

  it("draws each row from its stream, else from that of its number", async () => {
    const logits = repeated(row, 32);
    const together = await draw(logits, 32, { counter: 10 });
    const streams = [5, 0, 31, 7];
    const some = await draw(logits.slice(0, 4 * row.length), 4, { counter: 10, streams });
    expect(some).toEqual(streams.map((stream) => together[stream]!));
    expect(new Set(together).size).toBeGreaterThan(2);
  });

  it("differs with the seed and the counter", async () => {
    const rows = cases(backend, [64], [16])[0]!;
    const logits = repeated(row, rows);
    const base = await draw(logits, rows, { seed: 1, counter: 0 });
    for (const options of [{ seed: 2 }, { seed: 2 ** 40 + 1 }, { counter: 1 }, { counter: 2 ** 40 }]) {
      expect(await draw(logits, rows, options)).not.toEqual(base);
    }
    expect(await draw(logits, rows, { seed: 1, counter: 0 })).toEqual(base);
  });

  it("gives the same bits again", () => {
    const [rows, v] = cases(backend, [[17, 997]], [[3, 97]])[0]!;
    const logits = normals(rows! * v!, 7, dtype, 2);
    return expectSameBits(backend, (memory) => [
      enqueue(memory, logits, rows!),
      enqueue(memory, logits, rows!, { topK: 20 }),
      enqueue(memory, logits, rows!, { topP: 0.9 }),
      enqueue(memory, logits, rows!, { topK: 50, topP: 0.7, minP: 0.01 }),
      enqueue(memory, logits, rows!, { repetitionPenalty: 1.3, history: [7, 3, 7, 7, 50, 7] }),
    ]);
  });
});
