/** Blocks of several datasets in proportion to their weights. */
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { TokenDataset } from "../../lib/data/dataset.js";
import { BlockLoader, type BlockLoaderOptions, type DataPosition } from "../../lib/data/loader.js";
import { Mix } from "../../lib/data/mix.js";
import { ShardWriter } from "../../lib/data/shard.js";
import { DataError } from "../../lib/errors.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const UNIT = 16;

/** Datasets of 1000, 300 and 64 units; a token is 100,000 times its dataset's number and its place. */
let mix: { dataset: TokenDataset; weight: number }[] = [];
beforeEach(async () => {
  mix = [];
  for (const [index, [units, weight]] of [
    [1000, 0.5],
    [300, 0.3],
    [64, 0.2],
  ].entries()) {
    const writer = await ShardWriter.create(path(`${index}.bin`), 4);
    await writer.write(Array.from({ length: units! * UNIT + 5 }, (_, i) => 100_000 * index + i));
    await writer.finish();
    mix.push({ dataset: await TokenDataset.open(path(`${index}.bin`)), weight: weight! });
  }
});
afterEach(async () => {
  for (const { dataset } of mix) await dataset.close();
});

async function run(
  counts: readonly number[],
  options: Partial<BlockLoaderOptions> = {},
): Promise<{ tokens: number[]; position: DataPosition }> {
  const loader = new BlockLoader({
    dataset: mix,
    unitTokens: UNIT,
    blockTokens: UNIT,
    vocabSize: 1e6,
    seed: 4,
    ...options,
  });
  const tokens: number[] = [];
  for (const count of counts) tokens.push(...(await loader.next(count)));
  await loader.close();
  return { tokens, position: JSON.parse(JSON.stringify(loader.position)) as DataPosition };
}

const units = (tokens: readonly number[]) => tokens.filter((_, i) => i % UNIT === 0);

describe("a mix", () => {
  it("is within a unit of its shares after any number of units", () => {
    for (const weights of [[0.5, 0.3, 0.2], [1, 1], [7], [1e-3, 1], [3, 2, 2, 1, 1]]) {
      const each = new Mix(weights);
      const total = weights.reduce((a, b) => a + b);
      const taken = weights.map(() => 0);
      for (let count = 1; count <= 3000; count++) {
        taken[each.next(taken)]!++;
        for (const [i, weight] of weights.entries()) {
          expect(Math.abs(taken[i]! - (count * weight) / total)).toBeLessThan(weights.length);
        }
      }
    }
  });

  it("gives every unit of each dataset once before any twice, each time in another order", async () => {
    const { tokens, position } = await run([1000]);
    expect(position).toEqual({ epoch: 0, tokens: 1000 * UNIT, taken: [500, 300, 200] });
    const starts = units(tokens);
    expect(tokens).toEqual(starts.flatMap((start) => Array.from({ length: UNIT }, (_, i) => start + i)));
    const of = (index: number) => starts.filter((start) => Math.floor(start / 100_000) === index);
    expect(new Set(of(0)).size).toBe(500);
    expect(new Set(of(1)).size).toBe(300);
    const orders = [0, 64, 128].map((from) => of(2).slice(from, from + 64));
    for (const order of orders) expect(new Set(order).size).toBe(64);
    expect(orders[0]).not.toEqual(orders[1]);
    expect((await run([1000], { seed: 5 })).tokens).not.toEqual(tokens);
  });

  it("goes on at any position, in blocks of any length", async () => {
    const whole = await run([60]);
    for (const first of [1, 7, 31]) {
      const before = await run([first]);
      const after = await run([60 - first], { position: before.position });
      expect([...before.tokens, ...after.tokens]).toEqual(whole.tokens);
      expect(after.position).toEqual(whole.position);
    }
    const short = await run([5, 2], { blockTokens: 4, position: (await run([10])).position });
    expect(short.tokens).toEqual(whole.tokens.slice(10 * UNIT, 10 * UNIT + 28));
    // Inside a block of 8: its rest is skipped. The next unit follows where that ends the unit.
    expect((await run([1], { blockTokens: 8, position: short.position })).tokens).toEqual(
      whole.tokens.slice(12 * UNIT, 12 * UNIT + 8),
    );
    expect((await run([48])).tokens).toEqual((await run([1, 3, 40, 4])).tokens);
  });

  it("does not go on in other data", async () => {
    const { position } = await run([3]);
    const two = run([1], { dataset: mix.slice(0, 2), position });
    await expect(two).rejects.toThrow(DataError);
    await expect(two).rejects.toThrow(
      /expected the data that the position was saved with, a mix of 3 datasets, but .* 2$/,
    );
    await expect(run([1], { dataset: mix[0]!.dataset, position })).rejects.toThrow(
      /a mix of 3 datasets, but received 16000$/,
    );
    await expect(run([1], { position: { epoch: 0, tokens: 16 } })).rejects.toThrow(DataError);
    await expect(run([1], { position: { epoch: 0, tokens: 32, taken: [1, 0, 0] } })).rejects.toThrow(DataError);
  });

  it("refuses weights that are none, and datasets too small for a unit", async () => {
    for (const weight of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const wrong = run([1], { dataset: [{ dataset: mix[0]!.dataset, weight }] });
      await expect(wrong).rejects.toThrow(
        /^BlockLoader: dataset\[0\]\.weight: expected a number above 0 but received /,
      );
    }
    await expect(run([1], { dataset: [] })).rejects.toThrow(/expected a dataset or a list of one or more/);
    await expect(run([1], { unitTokens: 1600, blockTokens: 1600 })).rejects.toThrow(
      /2\.bin: expected at least one block of 1600 tokens but received 1029 tokens$/,
    );
  });
});
