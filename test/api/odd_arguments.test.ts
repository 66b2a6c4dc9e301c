/** Arguments that look right at first: what `npm run fuzz -- public-functions` found, and what is like it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { checkArguments } from "../../lib/compare/compare_arguments.js";
import * as api from "../../lib/index.js";
import { madeConfig, writeMadeData } from "../support/made_run.js";
import { madeTokenizer } from "../support/made_tokenizer.js";

const folder = mkdtempSync(join(tmpdir(), "nextpatch-odd-"));
const path = (name: string) => join(folder, name);
let device: api.Device;
let model: api.Llama;
let tokenizer: api.Tokenizer;

beforeAll(async () => {
  await writeMadeData(folder);
  writeFileSync(path("tokenizer.json"), madeTokenizer());
  tokenizer = await api.Tokenizer.fromFile(path("tokenizer.json"));
  device = api.Device.open("cpu", { threads: 1 });
  model = api.Llama.create({ ...madeConfig(folder).model!, vocab_size: 257 }, { device, precision: "fp32" });
});
afterAll(() => {
  model.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** The error of a call, thrown or rejected with, as `NAME: MESSAGE`. */
async function refusal(body: () => unknown): Promise<string> {
  try {
    await body();
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
  return "accepted";
}

describe("a path", () => {
  it.each([
    ["of no characters", "", 'a path but received the string ""'],
    ["with a NUL character", "a\0b", 'a path without a NUL character but received the string "a\\u0000b"'],
    ["longer than systems take", "a".repeat(5000), "a path of at most 4096 characters but received 5000 of them"],
  ])("%s", async (_, name, expected) => {
    expect(await refusal(() => api.loadRunConfig(name))).toBe(`RangeError: loadRunConfig: path: expected ${expected}`);
    expect(await refusal(() => model.save(name))).toBe(`RangeError: Llama.save: folder: expected ${expected}`);
    expect(await refusal(() => api.TokenDataset.open([{ path: name }]))).toBe(
      `RangeError: TokenDataset.open: pathsOrPatterns[0].path: expected ${expected}`,
    );
  });

  it("with a NUL character in a config", async () => {
    expect(await refusal(() => madeConfig(folder, { out: "a\0b" }))).toBe(
      'ConfigError: made: out: expected a text without a NUL character but received "a\\u0000b"',
    );
  });
});

describe("an array", () => {
  it("with holes is refused at the first, however long it is", async () => {
    const holes = (length: number) => new Array<never>(length);
    for (const length of [1, 2 ** 32 - 1]) {
      expect(await refusal(() => api.TokenDataset.open(holes(length)))).toBe(
        "TypeError: TokenDataset.open: pathsOrPatterns[0]: expected a string but received undefined",
      );
      expect(await refusal(() => api.score(model, tokenizer, holes(length)))).toMatch(
        /^TypeError: score: items\[0\]: expected an object but received nothing$/,
      );
      const item = { query: "a", choices: holes(length), gold: 0 };
      expect(await refusal(() => api.score(model, tokenizer, [item]))).toMatch(
        /^TypeError: score: items\[0\]\.choices: expected an array of strings but received /,
      );
    }
    expect(await refusal(() => api.TokenDataset.open([{ path: path("train.bin") }, undefined as never]))).toMatch(
      /^TypeError: TokenDataset\.open: pathsOrPatterns\[1\]: expected an object/,
    );
  });

  it("whose buffer was transferred has no elements", async () => {
    const ids = new Int32Array(4);
    structuredClone(ids.buffer, { transfer: [ids.buffer] });
    expect(await tokenizer.decode(ids)).toBe("");
  });

  it("may be a typed one", () => {
    const seeds = Float32Array.of(1, 2) as never;
    const sweep = { patchSize: Float32Array.of(2) as never };
    const tune = { lr: Float64Array.of(0.5) as never };
    expect(checkArguments(madeConfig(folder), { seeds, sweep, tune })).toMatchObject({
      seeds: [1, 2],
      sweep: { patchSize: [2] },
      tune: { lr: [0.5] },
    });
  });

  it("need not be one where two numbers are read", () => {
    const adamw = new api.AdamW(model.parameters);
    const settings = { betas: { 0: 0.9, 1: 0.95 } as never, eps: 1e-8, weightDecay: 0, gradClip: 1 };
    adamw.step(0, settings);
    adamw.dispose();
  });
});

describe("an object", () => {
  it("is no instance of a class because its prototype is one", async () => {
    const words = "expected a Tokenizer but received another object";
    expect(await refusal(() => api.generate(model, Object.create(tokenizer) as api.Tokenizer, "a"))).toBe(
      `TypeError: generate: tokenizer: ${words}`,
    );
    expect(await refusal(() => api.evaluate(Object.create(model) as api.Llama, { data: path("val.bin") }))).toBe(
      "TypeError: evaluate: model: expected a Llama but received another object",
    );
  });

  it("may inherit its options", async () => {
    writeFileSync(path("a.txt"), "some words of text\n".repeat(9));
    const options = { files: [path("a.txt")], out: path("out"), tokenizerPath: path("tokenizer.json") };
    const info = await api.prepareDataset(Object.create(options) as typeof options);
    expect(info.documents.train + info.documents.val).toBe(1);
  });
});

it("a backend that does not exist is refused in a short line", async () => {
  expect(await refusal(() => new api.Device("x".repeat(1000) as never, 0, 0))).toBe(
    `RangeError: Device: backend: expected one of cpu, cuda, simt but received the string "${"x".repeat(80)}…"`,
  );
  expect(await refusal(() => new api.Device('a"\n\u0001' as never, 0, 0))).toBe(
    'RangeError: Device: backend: expected one of cpu, cuda, simt but received the string "a\\"\\n\\u0001"',
  );
});

it("a patch that no memory holds is more than the data has", async () => {
  const options = { data: path("val.bin"), patchSize: 2 ** 31, sequenceLength: 8 };
  expect(await refusal(() => api.activations(model, options))).toMatch(/^DataError: .+: expected at least one block/);
});
