import { readdirSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { TokenDataset } from "../../lib/data/dataset.js";
import { ShardWriter } from "../../lib/data/shard.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

/** Shards whose tokens count on: shard lengths in the order of the names. */
async function countingShards(lengths: number[], bytesPerToken: readonly (2 | 4)[] = [2]): Promise<void> {
  let next = 0;
  for (const [i, length] of lengths.entries()) {
    const writer = await ShardWriter.create(path(`train_00000${i}.bin`), bytesPerToken[i % bytesPerToken.length]!);
    await writer.write(Array.from({ length }, () => next++));
    await writer.finish();
  }
}

describe("TokenDataset", () => {
  it("reads shards of mixed widths as one stream", async () => {
    await countingShards([5, 1, 7, 3], [2, 4]);
    const dataset = await TokenDataset.open(path("train_*.bin"));
    expect(dataset.tokenCount).toBe(16);
    for (let from = 0; from <= 16; from++) {
      for (let length = 0; from + length <= 16; length++) {
        const out = new Int32Array(length);
        await dataset.read(from, out);
        expect([...out]).toEqual(Array.from({ length }, (_, i) => from + i));
      }
    }
    await expect(dataset.read(15, new Int32Array(2))).rejects.toThrow(
      "TokenDataset.read: position: expected a position with 2 of the 16 tokens from it on but received 15",
    );
    expect(dataset.locate(0)).toEqual({ path: path("train_000000.bin"), position: 0 });
    expect(dataset.locate(5)).toEqual({ path: path("train_000001.bin"), position: 0 });
    expect(dataset.locate(12)).toEqual({ path: path("train_000002.bin"), position: 6 });
    await dataset.close();
  });

  it("reads more shards than it keeps open, many at a time", async () => {
    const count = 300;
    for (let i = 0; i < count; i++) {
      const writer = await ShardWriter.create(path(`train_${String(i).padStart(6, "0")}.bin`), 2);
      await writer.write([2 * i, 2 * i + 1]);
      await writer.finish();
    }
    await using dataset = await TokenDataset.open(path("train_*.bin"));
    const descriptors = () => readdirSync("/proc/self/fd").length;
    const before = descriptors();
    const whole = new Int32Array(2 * count);
    await Promise.all([
      dataset.read(0, whole),
      ...Array.from({ length: count }, async (_, i) => {
        const pair = new Int32Array(2);
        await dataset.read(2 * i, pair);
        expect([...pair]).toEqual([2 * i, 2 * i + 1]);
      }),
    ]);
    expect([...whole]).toEqual(Array.from({ length: 2 * count }, (_, i) => i));
    expect(descriptors() - before).toBeLessThan(100);
  });

  it("is closed by `await using`", async () => {
    await countingShards([2]);
    const dataset = await TokenDataset.open(path("train_*.bin"));
    await dataset[Symbol.asyncDispose]();
    await expect(dataset.read(0, new Int32Array(1))).rejects.toThrow(/closed/);
  });

  it("matches * and ? and nothing else as wild", async () => {
    await countingShards([2, 3, 4]);
    writeFileSync(path("train_000000xbin"), "no shard: matched only if the dot were wild");
    const counts = async (pattern: string | string[]): Promise<number[]> => {
      const dataset = await TokenDataset.open(pattern);
      await dataset.close();
      return dataset.shards.map((shard) => shard.tokenCount);
    };
    expect(await counts(path("*.bin"))).toEqual([2, 3, 4]);
    expect(await counts(path("train_00000?.bin"))).toEqual([2, 3, 4]);
    expect(await counts(path("*2.bin"))).toEqual([4]);
    expect(await counts([path("train_000002.bin"), path("train_000000.bin")])).toEqual([2, 4]);
    expect(await counts([path("*0.bin"), path("*0.b?n")])).toEqual([2]);
  });

  it("says what a pattern was matched against", async () => {
    await expect(TokenDataset.open(path("train_*.bin"))).rejects.toThrow(
      /train_\*\.bin: expected .* but received an empty folder$/,
    );
    await countingShards([2]);
    await expect(TokenDataset.open(path("val_*.bin"))).rejects.toThrow(
      /val_\*\.bin: expected files .* but received a folder with train_000000\.bin$/,
    );
    await expect(TokenDataset.open(path("none/val_*.bin"))).rejects.toThrow(
      /none\/val_\*\.bin: expected a folder of token shards but received a folder that does not exist$/,
    );
    await expect(TokenDataset.open(path("*/val.bin"))).rejects.toThrow(/expected \* and \? in the file's name only/);
    await expect(TokenDataset.open([])).rejects.toThrow(
      new RangeError(
        "TokenDataset.open: pathsOrPatterns: expected a string or an array of one or more but received an array of 0",
      ),
    );
  });
});
