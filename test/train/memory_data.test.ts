/** Runs on data in memory: the bits, and the guarantees, of runs on files. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { ConfigError, DataError } from "../../lib/errors.js";
import { AdamW, BlockLoader, evaluate, Llama, TokenDataset, Tokenizer, TrainingPass } from "../../lib/index.js";
import {
  computed,
  madeConfig,
  madeModel,
  madeTokens,
  madeVocabulary,
  runTo,
  writeMadeData,
} from "../support/made_run.js";
import { madeTokenizer } from "../support/made_tokenizer.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(() => writeMadeData(path()));

const data = { train: "dataset:train", val: "dataset:val" };
const config = (changes = {}) => madeConfig(path(), { data, train: { steps: 6 }, ...changes });
const made = async (seed = 1) => ({
  train: await TokenDataset.from(madeTokens(6000, seed)),
  val: await TokenDataset.from(Uint16Array.from(madeTokens(16 * 8, 99)), { name: "held out" }),
});
const model = (run: string) => readFileSync(path(`${run}/model/model.safetensors`));

describe("a run on data in memory", () => {
  it("has the bits of one on files, and goes on with the same tokens only", async () => {
    const lines = await runTo(madeConfig(path(), { train: { steps: 6 }, out: path("files") }));
    const datasets = await made();
    const first = await runTo(config(), { datasets, until: 4 });
    const rest = await runTo(config(), { datasets: await made(), resume: true, verifyData: true });
    expect(computed([...first, ...rest])).toEqual(computed(lines));
    expect(model("run").equals(model("files"))).toBe(true);
    // Its datasets are the caller's: they are open still.
    expect(await evaluated(datasets.val)).toBe(await evaluated(path("val.bin")));

    const other = await runTo(config(), { datasets: await made(2), resume: true }).catch((error: unknown) => error);
    expect(other).toBeInstanceOf(DataError);
    expect((other as Error).message).toMatch(
      /^memory: expected the shard that the run began with, memory of 6000 tokens, SHA-256 .*run\/data\.json\), but received memory of 6000 tokens, SHA-256 /,
    );
  });

  it("with a loss mask, has the bits of one on files with it, and goes on with the same mask only", async () => {
    const mask = (seed: number) => Uint8Array.from(madeTokens(6000, seed), (id) => (id % 4 === 0 ? 0 : 1));
    const bits = new Uint8Array(750);
    mask(5).forEach((counts, i) => {
      bits[i >> 3]! |= (1 - counts) << (i & 7);
    });
    writeFileSync(path("train.mask"), bits);
    const lines = await runTo(madeConfig(path(), { train: { steps: 6 }, out: path("files") }));
    const masked = async (seed: number) => ({
      ...(await made()),
      train: await TokenDataset.from(madeTokens(6000, 1), { mask: mask(seed) }),
    });
    const first = await runTo(config(), { datasets: await masked(5), until: 4 });
    await expect(runTo(config(), { datasets: await masked(6), resume: true })).rejects.toThrow(/^memory: expected the/);
    await expect(runTo(config(), { datasets: await made(), resume: true })).rejects.toThrow(/^memory: expected the/);
    const rest = await runTo(config(), { datasets: await masked(5), resume: true, verifyData: true });
    expect(computed([...first, ...rest])).toEqual(computed(lines));
    expect(model("run").equals(model("files"))).toBe(true);
  });

  it("mixes it with files", async () => {
    const mix = (web: string) => [
      { path: web, weight: 3 },
      { path: path("val.bin"), weight: 1 },
    ];
    const files = madeConfig(path(), { data: { train: mix(path("train.bin")) }, eval: undefined, out: path("files") });
    const lines = await runTo(files);
    const mixed = madeConfig(path(), { data: { train: mix("dataset:web") }, eval: undefined });
    const { train: web } = await made();
    expect(computed(await runTo(mixed, { datasets: { web } }))).toEqual(computed(lines));
  });

  it("of texts, has their tokenizer, and counts bits per byte", async () => {
    const tokenizer = await Tokenizer.fromJson(madeTokenizer());
    const text = (i: number) => `the ${i % 7} brown foxes and the ${i % 5} lazy dogs\n`;
    const texts = Array.from({ length: 80 }, (_, i) => text(i));
    const train = await TokenDataset.from(texts, { tokenizer });
    const val = await TokenDataset.from(texts.slice(0, 9), { tokenizer });
    const lines = await runTo(config({ model: { ...madeModel, vocab_size: 257 } }), { datasets: { train, val } });
    expect(lines.at(-1)!.valBitsPerByte! / lines.at(-1)!.valLoss!).toBeCloseTo(
      val.tokenCount / (val.tokenCount - 9) / Math.LN2,
      9,
    );
    for (const folder of ["run/tokenizer", "run/model", "run/checkpoints/step-00000006"]) {
      expect(readFileSync(path(`${folder}/tokenizer.json`), "utf8")).toBe(tokenizer.json);
    }
    expect(JSON.parse(readFileSync(path("run/model/tokenizer_config.json"), "utf8")).eos_token).toBe("<|endoftext|>");
    // Another tokenizer, and a smaller vocabulary, are refused.
    const small = config({ out: path("small") });
    await expect(runTo(small, { datasets: { train, val } })).rejects.toThrow(
      "the tokenizer of memory: expected data of at most the model's 96 tokens (vocab_size) but received data of a vocabulary of 257",
    );
    const another = await Tokenizer.fromJson(madeTokenizer({ merges: [["t", "h"]] }));
    const others = { train, val: await TokenDataset.from(texts, { tokenizer: another, name: "others" }) };
    await expect(runTo(small, { datasets: others })).rejects.toThrow(
      /^the tokenizer of others: expected data of one tokenizer, /,
    );
  });

  it("is refused where the config and the datasets differ, before anything is written", async () => {
    const { train, val } = await made();
    const refused: [object, Record<string, TokenDataset>, RegExp][] = [
      [
        {},
        { train },
        /^data\.val: expected a dataset that Trainer\.open is given \(datasets: \{ val \}\) for dataset:val but received train$/,
      ],
      [
        {},
        { train, val, test: val },
        /^data: expected an entry dataset:test, as that dataset is given, but received none$/,
      ],
    ];
    for (const [changes, datasets, says] of refused) {
      const error: unknown = await runTo(config(changes), { datasets }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ConfigError);
      expect((error as Error).message).toMatch(says);
    }
    expect(existsSync(path("run"))).toBe(false);
    expect(() => config({ data: { train: ["dataset:train", "more.bin"], val: "dataset:val" } })).toThrow(
      "made: data.train: expected dataset:train alone, or weights in all entries, but received 2 entries",
    );
    await expect(runTo(config(), { datasets: { train, val: "val.bin" as never } })).rejects.toThrow(
      'Trainer.open: datasets.val: expected a TokenDataset but received the string "val.bin"',
    );
  });
});

it("a loop of one's own reads it by a BlockLoader", async () => {
  const { train: dataset } = await made();
  using net = Llama.create(madeModel, { device: "cpu", precision: "fp32" });
  using optimizer = new AdamW(net.parameters);
  using pass = new TrainingPass(net, optimizer.gradient, { sequences: 4, positions: 16, patchSize: 4 });
  const blocks = { dataset, blockTokens: 64, unitTokens: 64, vocabSize: madeVocabulary, seed: 1 };
  await using loader = new BlockLoader(blocks);
  const losses: number[] = [];
  for (let step = 0; step < 24; step++) {
    optimizer.zeroGradient();
    pass.run(await loader.next(4));
    optimizer.step(3e-3);
    losses.push((await pass.loss.read())[0]!);
  }
  expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.05);
});

/** The loss of a model of the made shape. */
async function evaluated(tokens: string | TokenDataset): Promise<number> {
  using net = Llama.create(madeModel, { device: "cpu", precision: "fp32" });
  return (await evaluate(net, { data: tokens, sequenceLength: 16 })).loss;
}
