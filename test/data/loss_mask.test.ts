/** Loss masks beside shards: what is written is read, what is damaged is refused. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { TokenDataset } from "../../lib/data/dataset.js";
import { checkData, identifyData } from "../../lib/data/identity.js";
import { BlockLoader } from "../../lib/data/loader.js";
import { verifyData } from "../../lib/data/verify_data.js";
import { DataError } from "../../lib/errors.js";
import { madeMask, writeMask } from "../support/made_mask.js";
import { writeShard } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

/** Three shards of 37, 20 and 100 tokens that count up; the second one has no mask. */
const sizes = [37, 20, 100];
const masks = sizes.map((size, index) => (index === 1 ? new Uint8Array(size).fill(1) : madeMask(size, index + 1)));
const whole = Uint8Array.from(masks.flatMap((mask) => [...mask]));

beforeEach(async () => {
  let next = 0;
  for (const [index, size] of sizes.entries()) {
    const shard = path(`train_00000${index}.bin`);
    await writeShard(
      shard,
      Array.from({ length: size }, () => next++),
    );
    if (index !== 1) await writeMask(shard, masks[index]!);
  }
});

const open = (pattern = "train_*.bin") => TokenDataset.open(path(pattern));

describe("a loss mask", () => {
  it("has a bit a token, the least significant first, and zeros after the last", () => {
    const bytes = readFileSync(path("train_000000.mask"));
    expect(bytes).toHaveLength(5);
    const bits = Array.from({ length: 40 }, (_, i) => (bytes[i >> 3]! >> (i & 7)) & 1);
    expect(bits).toEqual([...Array.from(masks[0]!, (counts) => 1 - counts), 0, 0, 0]);
    expect(new Set(masks[0]).size).toBe(2);
  });

  it("is read from any token on, over shards with one and without", async () => {
    await using dataset = await open();
    expect(dataset.masked).toBe(true);
    for (let from = 0; from < whole.length; from += 3) {
      for (const length of [0, 1, 9, 64]) {
        if (from + length > whole.length) continue;
        const out = new Uint8Array(length).fill(7);
        await dataset.readMask(from, out);
        expect(out).toEqual(whole.slice(from, from + length));
      }
    }
    await expect(dataset.readMask(whole.length, new Uint8Array(1))).rejects.toThrow(RangeError);
  });

  it("comes with a loader's batches, shuffled as they are, ahead and across epochs", async () => {
    await using dataset = await open();
    await using loader = new BlockLoader({ dataset, blockTokens: 8, unitTokens: 16, vocabSize: 1000, seed: 2 });
    let last: Int32Array | null = null;
    for (let batch = 0; batch < 8; batch++) {
      const tokens = await loader.next(3);
      if (last !== null) expect(tokens).toBe(last);
      expect(loader.maskOf(tokens)).toEqual(Uint8Array.from(tokens, (token) => whole[token]!));
      last = await loader.ahead;
    }
    expect(() => loader.maskOf(new Int32Array(24))).toThrow(/^BlockLoader\.maskOf: tokens: expected a batch of this/);
  });

  it("is a loader's where one dataset of a mix has one, and null where none has", async () => {
    await using first = await open("train_000000.bin");
    await using second = await open("train_000001.bin");
    const options = { blockTokens: 4, unitTokens: 4, vocabSize: 1000, seed: 2 };
    await using mix = new BlockLoader({
      dataset: [first, second].map((dataset) => ({ dataset, weight: 1 })),
      ...options,
    });
    const tokens = await mix.next(12);
    expect(mix.maskOf(tokens)).toEqual(Uint8Array.from(tokens, (token) => whole[token]!));
    expect(second.masked).toBe(false);
    await using plain = new BlockLoader({ dataset: second, ...options });
    expect(plain.maskOf(await plain.next(1))).toBeNull();
  });

  it.each([
    ["cut", 4],
    ["too long", 6],
    ["empty", 0],
  ])("that is %s is refused, with both sizes", async (_, bytes) => {
    writeFileSync(path("train_000000.mask"), new Uint8Array(bytes));
    const error: unknown = await open().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message).toMatch(
      new RegExp(`train_000000\\.mask: expected a loss mask of 5 bytes, a bit for each of 37 tokens of .* ${bytes}$`),
    );
  });

  it("whose bits behind the last token are set is refused: it is not one of these tokens", async () => {
    const bytes = readFileSync(path("train_000000.mask"));
    writeFileSync(path("train_000000.mask"), bytes.fill(0x20, 4));
    await expect(open()).rejects.toThrow(
      /train_000000\.mask: expected zeros in the 3 bits behind the last token's but received a last byte of 32$/,
    );
  });

  it("that is cut while it is read is refused", async () => {
    await using dataset = await open();
    writeFileSync(path("train_000002.mask"), new Uint8Array(3));
    await expect(dataset.readMask(60, new Uint8Array(90))).rejects.toThrow(/train_000002\.mask: expected .* was there/);
  });
});

describe("a dataset.json", () => {
  const entry = (index: number) => ({
    file: `train_00000${index}.bin`,
    tokens: sizes[index]!,
    bytes: 1024 + 2 * sizes[index]!,
    sha256: "0",
  });
  const list = (...shards: object[]) => writeFileSync(path("dataset.json"), JSON.stringify({ shards }));
  const mask = { file: "train_000000.mask", bytes: 5, sha256: "1", labels: 9 };

  async function refusal(verified = false): Promise<string> {
    await using dataset = await open("train_000000.bin");
    try {
      const identity = await identifyData([dataset], () => undefined);
      checkData(identity, 1000);
      if (verified) await verifyData([dataset], identity, 1000, () => undefined);
      return "";
    } catch (error) {
      expect(error).toBeInstanceOf(DataError);
      return (error as Error).message;
    }
  }

  it("must list a mask that is there, and no other", async () => {
    list({ ...entry(0), mask });
    expect(await refusal()).toBe("");
    list(entry(0));
    expect(await refusal()).toMatch(
      /train_000000\.mask: expected no loss mask, as .*dataset\.json says, but received one$/,
    );
    list({ ...entry(0), mask });
    rmSync(path("train_000000.mask"));
    expect(await refusal()).toMatch(/train_000000\.mask: expected a loss mask, as .* says, but received no such file$/);
    list({ ...entry(0), mask: { ...mask, labels: "9" } });
    expect(await refusal()).toMatch(/dataset\.json: shards: expected a list of shards/);
  });

  it("tells a bit that was changed, where every byte is read", async () => {
    const { createHash } = await import("node:crypto");
    const hash = (file: string) =>
      createHash("sha256")
        .update(readFileSync(path(file)))
        .digest("hex");
    const shard = { ...entry(0), sha256: hash("train_000000.bin") };
    list({ ...shard, mask: { ...mask, sha256: hash("train_000000.mask") } });
    expect(await refusal(true)).toBe("");
    const bytes = readFileSync(path("train_000000.mask"));
    bytes[2]! ^= 8;
    writeFileSync(path("train_000000.mask"), bytes);
    expect(await refusal()).toBe("");
    expect(await refusal(true)).toMatch(
      /train_000000\.mask: expected a file of SHA-256 [0-9a-f]{64}, as dataset\.json says/,
    );
  });
});
