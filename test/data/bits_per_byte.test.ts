/** Bits per byte, from what a folder says of its text. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { bitsPerByte, tokensPerByte } from "../../lib/data/bits_per_byte.js";
import { TokenDataset } from "../../lib/data/dataset.js";
import { identifyData } from "../../lib/data/identity.js";
import { prepareDataset } from "../../lib/data/prepare.js";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import { DataError } from "../../lib/errors.js";
import { madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

async function of(...patterns: string[]): Promise<number | null> {
  await using dataset = await TokenDataset.open(patterns.map((pattern) => path(pattern)));
  return tokensPerByte(dataset, (await identifyData([dataset], () => undefined)).folders);
}

/** Changes keys of a folder's dataset.json; an undefined one is removed. */
function change(folder: string, keys: object): void {
  const file = path(`${folder}/dataset.json`);
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...keys }));
}

const words = ["čaj", "tea", "thé", "茶", "chá", "τσάι", "Tee", "te"];
const documents = Array.from({ length: 30 }, (_, d) =>
  Array.from({ length: 20 + d }, (_, w) => words[(d * w + w) % 8]).join(d % 2 ? " " : ", "),
);

async function prepare(out: string, texts: readonly string[], valFraction: number, tokenizerPath?: string) {
  writeFileSync(path(`${out}.jsonl`), texts.map((text) => JSON.stringify({ text })).join("\n"));
  const files = [path(`${out}.jsonl`)];
  const tokenizer = tokenizerPath === undefined ? { trainTokenizerVocab: 264 } : { tokenizerPath };
  return prepareDataset({ files, out: path(out), ...tokenizer, valFraction });
}

describe("tokens per byte", () => {
  beforeEach(async () => void (await prepare("d", documents, 0.2)));

  it("are those of the split's text, as its tokens decode", async () => {
    const tokenizer = await Tokenizer.fromFile(path("d/tokenizer.json"));
    await using dataset = await TokenDataset.open(path("d/val_*.bin"));
    const ids = new Int32Array(dataset.tokenCount);
    await dataset.read(0, ids);
    const text = await tokenizer.decode([...ids].filter((id) => id !== tokenizer.endOfTextId));
    expect(await of("d/val_*.bin")).toBeCloseTo(ids.length / Buffer.byteLength(text), 12);
    expect(await of("d/train_*.bin")).not.toBe(await of("d/val_*.bin"));
  });

  it("are those of several folders together", async () => {
    await prepare("e", documents.slice(0, 9), 0.3, path("d/tokenizer.json"));
    const parts = await Promise.all(["d", "e"].map((name) => TokenDataset.open(path(`${name}/val_*.bin`))));
    const shares = await Promise.all(["d/val_*.bin", "e/val_*.bin"].map((pattern) => of(pattern)));
    const bytes = parts.reduce((sum, { tokenCount }, at) => sum + tokenCount / shares[at]!, 0);
    const tokens = parts.reduce((sum, { tokenCount }) => sum + tokenCount, 0);
    expect(await of("d/val_*.bin", "e/val_*.bin")).toBeCloseTo(tokens / bytes, 12);
    await Promise.all(parts.map((part) => part.close()));
  });

  it("are those of the whole document where one is divided", async () => {
    const { tokens, bytes, heldOut } = await prepare("one", [documents.join("\n")], 0.2);
    expect(heldOut).toBe("tail");
    const whole = (tokens.train + tokens.val) / (bytes.train + bytes.val);
    expect(await of("one/val_*.bin")).toBeCloseTo(whole, 12);
    expect(await of("one/train_*.bin")).toBeCloseTo(whole, 12);
  });

  it("are unknown without the count, and a wrong count is told", async () => {
    change("d", { bytes: undefined });
    expect(await of("d/val_*.bin")).toBeNull();
    change("d", { bytes: { train: 1, val: 0 } });
    expect(await of("d/val_*.bin")).toBeNull();
    change("d", { bytes: { train: 1 } });
    const error: unknown = await of("d/val_*.bin").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message).toMatch(/dataset\.json: bytes: expected whole numbers for train and val but/);
    mkdirSync(path("bare"));
    writeFileSync(path("bare/val_000000.bin"), readFileSync(path("d/val_000000.bin")));
    expect(await of("bare/val_*.bin")).toBeNull();
  });
});

describe("bits per byte", () => {
  it("are eight for bytes that are all alike", () => {
    expect(bitsPerByte(Math.log(256), 1)).toBeCloseTo(8, 12);
    // Two bytes a token, each pair of 2^16 as likely.
    expect(bitsPerByte(Math.log(2 ** 16), 0.5)).toBeCloseTo(8, 12);
  });

  it("stand beside each validation loss of a run, and nowhere else", async () => {
    await writeMadeData(path());
    for (const line of await runTo(madeConfig(path()))) expect(line).not.toHaveProperty("valBitsPerByte");
    await prepare("d", documents, 0.2);
    const model = { ...madeConfig(path()).model!, vocab_size: 264 };
    const data = { train: path("d/train_*.bin"), val: path("d/val_*.bin") };
    const share = (await of("d/val_*.bin"))!;
    const lines = await runTo(madeConfig(path(), { model, data, eval: { everySteps: 4 }, out: path("known") }));
    expect(lines.filter(({ valLoss }) => valLoss !== undefined)).toHaveLength(4);
    for (const { valLoss, valBitsPerByte } of lines) {
      if (valLoss === undefined) expect(valBitsPerByte).toBeUndefined();
      else expect(valBitsPerByte).toBeCloseTo((valLoss * share) / Math.LN2, 12);
    }
  });
});
