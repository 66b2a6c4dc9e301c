import { describe, expect, it } from "@jest/globals";
import { TokenDataset } from "../../lib/data/dataset.js";
import type { BlockLoaderOptions, DataPosition } from "../../lib/data/loader.js";
import { BlockLoader } from "../../lib/data/loader.js";
import { ShardWriter } from "../../lib/data/shard.js";
import { DataError } from "../../lib/errors.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

/** Two shards that hold 0, 1, 2, ..., so that a token is its own stream position. */
async function counting(total: number): Promise<TokenDataset> {
  const first = Math.floor(total / 3);
  for (const [name, from, to] of [
    ["a.bin", 0, first],
    ["b.bin", first, total],
  ] as const) {
    const writer = await ShardWriter.create(path(name), 4);
    await writer.write(Array.from({ length: to - from }, (_, i) => from + i));
    await writer.finish();
  }
  return TokenDataset.open(path("?.bin"));
}

const settings = { unitTokens: 16, blockTokens: 16, vocabSize: 100_000, seed: 4 };

async function take(loader: BlockLoader, counts: number[]): Promise<number[]> {
  const all: number[] = [];
  for (const count of counts) all.push(...(await loader.next(count)));
  return all;
}

/** Tokens of `counts` batches by a loader of its own, and where it ends. */
async function run(
  options: Omit<BlockLoaderOptions, keyof typeof settings> & Partial<BlockLoaderOptions>,
  counts: number[],
): Promise<{ tokens: number[]; position: DataPosition }> {
  const loader = new BlockLoader({ ...settings, ...options });
  const tokens = await take(loader, counts);
  await loader.close();
  return { tokens, position: JSON.parse(JSON.stringify(loader.position)) as DataPosition };
}

describe("BlockLoader", () => {
  it("refuses a call after close, one that close comes to, and two at a time", async () => {
    await using dataset = await counting(200);
    const loader = new BlockLoader({ ...settings, dataset });
    const first = loader.next(1);
    await expect(loader.next(1)).rejects.toThrow(/^BlockLoader.next: this: expected a loader that is not reading/);
    await first;
    const pending = expect(loader.next(1)).rejects.toThrow(TypeError);
    await loader.close();
    await pending;
    await expect(loader.next(1)).rejects.toThrow(
      /^BlockLoader.next: this: expected an open loader but received a closed one$/,
    );
  });

  it("gives every whole unit once per epoch, shuffled, and each epoch in another order", async () => {
    const dataset = await counting(16 * 40 + 9);
    const { tokens, position } = await run({ dataset }, [80]);
    expect(position).toEqual({ epoch: 2, tokens: 0 });
    const orders = [tokens.slice(0, 640), tokens.slice(640)].map((epoch) => {
      const starts = epoch.filter((_, i) => i % 16 === 0);
      expect(epoch).toEqual(starts.flatMap((start) => Array.from({ length: 16 }, (_, i) => start + i)));
      expect([...starts].sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => 16 * i));
      return starts.join();
    });
    expect(orders[0]).not.toBe(orders[1]);
    expect(orders[0]).not.toBe(Array.from({ length: 40 }, (_, i) => 16 * i).join());
    expect((await run({ dataset, seed: 5 }, [40])).tokens).not.toEqual(tokens.slice(0, 640));
    await dataset.close();
  });

  it("gives the same data however it is asked for", async () => {
    const dataset = await counting(16 * 21);
    const whole = (await run({ dataset }, [50])).tokens;
    expect(
      (
        await run(
          { dataset },
          Array.from({ length: 50 }, () => 1),
        )
      ).tokens,
    ).toEqual(whole);
    expect((await run({ dataset }, [3, 3, 7, 7, 7, 1, 20, 2])).tokens).toEqual(whole);
    expect((await run({ dataset, blockTokens: 4 }, [80, 120])).tokens).toEqual(whole);
    await dataset.close();
  });

  it("resumes where it was, without what was only fetched ahead", async () => {
    const dataset = await counting(16 * 21);
    const whole = (await run({ dataset, blockTokens: 8 }, [100])).tokens;
    for (const done of [1, 2, 41, 42, 43, 99]) {
      const before = await run({ dataset, blockTokens: 8 }, [done]);
      const after = await run({ dataset, blockTokens: 8, position: before.position }, [100 - done]);
      expect([...before.tokens, ...after.tokens]).toEqual(whole);
    }
    await dataset.close();
  });

  it("goes on with fresh data when a stage changes the block length", async () => {
    const dataset = await counting(16 * 21);
    const whole = (await run({ dataset }, [30])).tokens;
    const patch = await run({ dataset, blockTokens: 16 }, [10]);
    const token = await run({ dataset, blockTokens: 4, position: patch.position }, [5, 2]);
    expect([...patch.tokens, ...token.tokens]).toEqual(whole.slice(0, 16 * 10 + 28));
    expect(token.position).toEqual({ epoch: 0, tokens: 188 });
    // 188 is inside a block of 8: its rest, 4 tokens, is skipped.
    const longer = await run({ dataset, blockTokens: 8, position: token.position }, [1]);
    expect(longer.tokens).toEqual(whole.slice(192, 200));
    // Inside the epoch's last unit, going back to whole units starts the next epoch.
    const late = new BlockLoader({ ...settings, dataset, position: { epoch: 0, tokens: 16 * 20 + 4 } });
    expect(late.position).toEqual({ epoch: 1, tokens: 0 });
    expect([...(await late.next(1))]).toEqual(whole.slice(16 * 21, 16 * 22));
    await late.close();
    await dataset.close();
  });

  it("reads the next batch before it is asked for", async () => {
    const dataset = await counting(16 * 8);
    const reads: number[] = [];
    const read = dataset.read.bind(dataset);
    dataset.read = async (position, out) => {
      reads.push(position); // before it: reads of one batch may end in any order
      await read(position, out);
    };
    const loader = new BlockLoader({ ...settings, dataset });
    const batches = [[...(await loader.next(2))]];
    // Nothing is asked for here: only a background read can bring the count to four.
    for (let i = 0; i < 2000 && reads.length < 4; i++) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(reads.length).toBe(4);
    batches.push([...(await loader.next(2))]);
    expect(batches.flat().filter((_, i) => i % 16 === 0)).toEqual(reads.slice(0, 4));
    await loader.close();
    expect(reads.length).toBe(6);
    await dataset.close();
  });

  it("shows the batch it reads ahead, which does not count as given out", async () => {
    const dataset = await counting(16 * 8);
    const loader = new BlockLoader({ ...settings, dataset });
    expect(loader.ahead).toBeNull();
    await loader.next(2);
    const { position } = loader;
    const ahead = await loader.ahead;
    expect(loader.position).toEqual(position);
    expect(await loader.next(2)).toBe(ahead);
    expect(loader.position).not.toEqual(position);
    await loader.close();
    expect(loader.ahead).toBeNull();
    await dataset.close();
  });

  it("names a token outside the vocabulary, its file and place, when its batch is due", async () => {
    const dataset = await counting(64);
    const loader = new BlockLoader({ ...settings, dataset, vocabSize: 63 });
    const problem = `${path("b.bin")}: position 42: expected a token id below the vocabulary's size of 63 but received 63`;
    const taken: number[] = [];
    await expect(async () => {
      for (let i = 0; i < 4; i++) taken.push(...(await loader.next(1)));
    }).rejects.toThrow(new DataError(problem));
    expect(loader.position.tokens).toBe(taken.length);
    expect(taken).not.toContain(63);
    await loader.close();
    await dataset.close();
  });

  it("takes a uint32 id above 2^31 for what it is", async () => {
    const writer = await ShardWriter.create(path("a.bin"), 4);
    await writer.write([1, 2, 2 ** 32 - 1, 4]);
    await writer.finish();
    const dataset = await TokenDataset.open(path("a.bin"));
    const loader = new BlockLoader({ dataset, unitTokens: 4, blockTokens: 4, vocabSize: 10, seed: 1 });
    await expect(loader.next(1)).rejects.toThrow(/position 2: .* but received 4294967295$/);
    await loader.close();
    await dataset.close();
  });

  it("refuses what cannot work, with both numbers", async () => {
    const dataset = await counting(15);
    const make = (options: Partial<BlockLoaderOptions>): (() => BlockLoader) => {
      return () => new BlockLoader({ ...settings, dataset, ...options });
    };
    expect(make({})).toThrow(/a\.bin: expected at least one block of 16 tokens but received 15 tokens$/);
    expect(make({})).toThrow(DataError);
    expect(make({ unitTokens: 12, blockTokens: 8 })).toThrow(
      new RangeError("BlockLoader: blockTokens: expected a divisor of unitTokens, which is 12, but received 8"),
    );
    expect(make({ unitTokens: 0 })).toThrow(
      new RangeError("BlockLoader: unitTokens: expected a whole number of at least 1 but received 0"),
    );
    expect(make({ seed: 0.5 })).toThrow(/^BlockLoader: seed: expected a whole number but received 0\.5$/);
    const small = { unitTokens: 5, blockTokens: 5 };
    expect(make({ ...small, position: { epoch: 0, tokens: 16 } })).toThrow(
      /expected the data that the position was saved with, at least 16 tokens an epoch, but received 15$/,
    );
    expect(make({ ...small, position: { epoch: 0, tokens: 16 } })).toThrow(DataError);
    expect(make({ ...small, position: { epoch: -1, tokens: 0 } })).toThrow(
      new RangeError("BlockLoader: position.epoch: expected a whole number of at least 0 but received -1"),
    );
    await expect(make(small)().next(0)).rejects.toThrow(/^BlockLoader\.next: count: expected a whole number from 1 /);
    await dataset.close();
  });
});
