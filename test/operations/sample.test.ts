import { describe, expect, it } from "@jest/globals";
import { native } from "../../lib/native.js";
import { cases, grid, open } from "../support/backends.js";
import { expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { normals } from "../support/numbers.js";
import { drawSamples, enqueueSample, repeated, type SampleOptions } from "../support/sampling.js";

/** Logits of thirteen ids, no two alike. */
const row = [1.5, -1, 0.25, 2.5, -2, 1, 0.5, -0.5, 3, 0, -1.5, 2.75, -0.25];

describe.each(grid)("sample on $backend in $dtype", ({ backend, dtype }) => {
  const device = open(backend);
  const draw = (logits: Float64Array, rows: number, options?: SampleOptions, guard?: number): Promise<number[]> =>
    drawSamples(device, dtype, logits, rows, options, guard);

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

  it("cuts equal logits by id", async () => {
    const rows = cases(backend, [8192], [16])[0]!;
    const equal = new Array<number>(16).fill(1);
    const ids = await draw(repeated(equal, rows), rows, { topK: 3 });
    expect([...new Set(ids)].sort((a, b) => a - b)).toEqual([0, 1, 2]);
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
      enqueueSample(memory, dtype, logits, rows!),
      enqueueSample(memory, dtype, logits, rows!, { topK: 20 }),
      enqueueSample(memory, dtype, logits, rows!, { topP: 0.9 }),
      enqueueSample(memory, dtype, logits, rows!, { topK: 50, topP: 0.7, minP: 0.01 }),
      enqueueSample(memory, dtype, logits, rows!, { repetitionPenalty: 1.3, history: [7, 3, 7, 7, 50, 7] }),
    ]);
  });
});
