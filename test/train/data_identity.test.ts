/** Runs and the data that they are given: what does not belong together does not begin. */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import type { RunConfig } from "../../lib/config/config.js";
import { prepareDataset } from "../../lib/data/prepare.js";
import { DataError } from "../../lib/errors.js";
import { evaluate } from "../../lib/evaluate.js";
import { Llama } from "../../lib/nn/llama.js";
import { madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { sign } from "../support/manifest.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

/** Prepares the folder `name`: two training shards, a validation shard. */
async function prepare(name: string, words: string, shardTokens = 2000): Promise<void> {
  const line = (i: number): string => JSON.stringify({ text: `${words} ${i % 97} and ${i % 13}.` });
  writeFileSync(path("text.jsonl"), Array.from({ length: 400 }, (_, i) => line(i)).join("\n"));
  const training = { trainTokenizerVocab: 280, valFraction: 0.1, shardTokens };
  await prepareDataset({ files: [path("text.jsonl")], out: path(name), ...training });
}

const json = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path(name), "utf8")) as Record<string, unknown>;

const config = (changes: Record<string, unknown> = {}, vocab_size = 280): RunConfig => {
  const base = madeConfig(path());
  return madeConfig(path(), {
    model: { ...base.model, vocab_size },
    data: { train: path("d/train_*.bin"), val: path("d/val_*.bin") },
    ...changes,
  });
};

async function refused(run: Promise<unknown>, says: RegExp): Promise<void> {
  const error: unknown = await run.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DataError);
  expect((error as Error).message).toMatch(says);
}

beforeEach(async () => prepare("d", "river stone"));

describe("a new run", () => {
  it.each([
    [
      "a model of fewer tokens",
      (): void => undefined,
      { vocab: 279 },
      /tokenizer\.json: expected data of at most the model's 279 tokens \(vocab_size\) but received data of a vocabulary of 280$/,
    ],
    [
      "the same without a tokenizer",
      () => rmSync(path("d/tokenizer.json")),
      { vocab: 279 },
      /dataset\.json: expected data of at most .* 279 .* of 280$/,
    ],
    [
      "the same without a dataset.json",
      () => rmSync(path("d/dataset.json")),
      { vocab: 279 },
      /tokenizer\.json: expected data of at most .* 279 .* of 280$/,
    ],
    [
      "a shard that was lost",
      () => rmSync(path("d/train_000001.bin")),
      {},
      /train_\*\.bin: expected every shard of its split that .*dataset\.json lists but received none named train_000001\.bin$/,
    ],
    [
      "a shard that was added",
      () => cpSync(path("d/train_000000.bin"), path("d/train_000099.bin")),
      {},
      /train_000099\.bin: expected a shard that .*dataset\.json lists but received one that it does not$/,
    ],
    [
      "a shard of another length",
      () => cpSync(path("d/train_000001.bin"), path("d/train_000000.bin")),
      {},
      /train_000000\.bin: expected 2000 tokens in 5024 bytes, as .*dataset\.json says, but received \d+ tokens in \d+$/,
    ],
    [
      "what an interrupted prepare left",
      () => {
        rmSync(path("d/dataset.json"));
        mkdirSync(path("d/.prepare"));
      },
      {},
      /d: expected token shards but received those of a prepare that was interrupted; run it again$/,
    ],
    [
      "a damaged dataset.json",
      () => writeFileSync(path("d/dataset.json"), "{"),
      {},
      /dataset\.json: expected JSON but received other text/,
    ],
    [
      "a dataset.json of other keys",
      () => writeFileSync(path("d/dataset.json"), '{"shards": [{"file": 1}]}'),
      {},
      /dataset\.json: shards: expected a list of shards, .* but received /,
    ],
  ] as const)("does not begin with %s", async (_, change, { vocab }: { vocab?: number }, says) => {
    change();
    await refused(runTo(config({}, vocab)), says);
    expect(existsSync(path("run"))).toBe(false);
  });

  it("does not mix two tokenizers", async () => {
    await prepare("other", "lamp window");
    const data = { train: path("d/train_*.bin"), val: path("other/val_*.bin") };
    await refused(
      runTo(config({ data })),
      /other\/tokenizer\.json: expected data of one tokenizer, .*d\/tokenizer\.json \(280 tokens, SHA-256 .*…\), but received some of .*other/,
    );
    expect(existsSync(path("run"))).toBe(false);
  });

  it("takes shards without a dataset.json, and says so", async () => {
    rmSync(path("d/dataset.json"));
    const said: string[] = [];
    await runTo(config(), { log: (message) => said.push(message) });
    expect(said).toContainEqual(`${path("d")}: has no dataset.json: its token shards are taken as they are`);
    expect(existsSync(path("run/model"))).toBe(true);
  });

  it("does not continue a model with another tokenizer, but with the same one however it is written", async () => {
    await runTo(config());
    await prepare("other", "lamp window");
    const from = { init: { from: path("run/model") }, out: path("two") };
    const data = { train: path("other/train_*.bin") };
    await refused(
      runTo(config({ ...from, data, eval: undefined })),
      /run\/model\/tokenizer\.json: expected the tokenizer of the data, .*other\/tokenizer\.json .*, but received .*run\/model/,
    );
    const tokenizer = json("run/model/tokenizer.json") as { model: { merges: string[][] } };
    tokenizer.model.merges = tokenizer.model.merges.map((pair) => pair.join(" ")) as never;
    writeFileSync(
      path("run/model/tokenizer.json"),
      JSON.stringify({ ...tokenizer, padding: null, version: "1.0" }, null, 2),
    );
    await sign(path("run/model"));
    await runTo(config(from), { until: 1 });
    expect(readFileSync(path("two/tokenizer/tokenizer.json"))).toEqual(readFileSync(path("run/model/tokenizer.json")));
  });
});

describe("a resumed run", () => {
  it("goes on with the data that it began with, and no other", async () => {
    await runTo(config(), { until: 3 });
    const began = json("run/data.json") as { train: { file: string; sha256: string }[] };
    const { shards } = json("d/dataset.json") as { shards: { file: string; tokens: number; sha256: string }[] };
    const training = shards.filter(({ file }) => file.startsWith("train"));
    expect(began.train).toEqual(training.map(({ file, tokens, sha256 }) => ({ file, tokens, sha256 })));
    const before = path("before");
    renameSync(path("d"), before);

    await prepare("d", "lamp window"); // another tokenizer, other tokens, the same names
    await refused(
      runTo(config(), { resume: true, until: 4 }),
      /run\/tokenizer\/tokenizer\.json: expected the tokenizer of the data, .* but received /,
    );

    rmSync(path("d"), { recursive: true });
    await prepare("d", "river stone", 700); // the same tokens in other shards
    await refused(
      runTo(config(), { resume: true }),
      /train_\*\.bin: expected the \d+ shards that the run began with .* but received \d+$/,
    );

    rmSync(path("d"), { recursive: true });
    cpSync(before, path("d"), { recursive: true });
    const info = json("d/dataset.json") as { shards: { sha256: string }[] };
    info.shards[0]!.sha256 = "0".repeat(64);
    writeFileSync(path("d/dataset.json"), JSON.stringify(info));
    await refused(
      runTo(config(), { resume: true }),
      /train_000000\.bin: expected the shard that the run began with, train_000000\.bin of 2000 tokens, SHA-256 .*, but received train_000000\.bin of 2000 tokens, SHA-256 0{12}…$/,
    );

    rmSync(path("d"), { recursive: true });
    renameSync(before, path("d"));
    expect((await runTo(config(), { resume: true })).at(-1)!.step).toBe(12);
  });

  it("of an earlier version is not compared, and that is said", async () => {
    await runTo(config(), { until: 3 });
    rmSync(path("run/data.json"));
    rmSync(path("run/checkpoints/step-00000003/trainer/data.json"));
    await sign(path("run/checkpoints/step-00000003"));
    const said: string[] = [];
    await runTo(config(), { resume: true, log: (message) => said.push(message) });
    expect(said.join("\n")).toMatch(
      /data\.json is not there: the data is not compared with that which the run began with/,
    );
  });

  it("has its own copy of the tokenizer from the beginning", async () => {
    writeFileSync(
      path("d/tokenizer_config.json"),
      '{"eos_token": "<|im_end|>", "chat_template": "{{ x }}", "pad_token": null}',
    );
    const tokenizer = readFileSync(path("d/tokenizer.json"));
    await runTo(config({ checkpoint: { everySteps: 2, keep: 9 } }), { until: 3 });
    rmSync(path("d/tokenizer.json"));
    rmSync(path("d/tokenizer_config.json"));
    await runTo(config({ checkpoint: { everySteps: 2, keep: 9 } }), { resume: true });
    for (const folder of ["tokenizer", "checkpoints/step-00000002", "checkpoints/step-00000012", "model"]) {
      expect(readFileSync(path(`run/${folder}/tokenizer.json`))).toEqual(tokenizer);
      // A new model's text ends at the token that separates the documents.
      expect(json(`run/${folder}/tokenizer_config.json`)).toEqual({
        bos_token: "<|endoftext|>",
        eos_token: "<|endoftext|>",
        chat_template: "{{ x }}",
        pad_token: null,
      });
    }
    expect(json("run/model/config.json")).toMatchObject({ bos_token_id: 0, eos_token_id: 0 });
  });
});

describe("a continued model", () => {
  it("keeps the files of its tokenizer and generation_config.json byte for byte, and the other keys of its config", async () => {
    await runTo(config());
    const files = {
      "tokenizer_config.json": '{"eos_token":"<|endoftext|>",  "x": 1}',
      "special_tokens_map.json": "{ }",
      "chat_template.jinja": "{{ y }}",
      "generation_config.json": '{"eos_token_id": [0,1],   "temperature": 0.6}',
    };
    const own = json("run/model/config.json");
    writeFileSync(path("run/model/config.json"), JSON.stringify({ ...own, eos_token_id: [0, 1], other: { x: 1 } }));
    for (const [name, content] of Object.entries(files)) writeFileSync(path(`run/model/${name}`), content);
    await sign(path("run/model"));
    await runTo(config({ init: { from: path("run/model") }, out: path("two"), train: { steps: 2 } }));
    for (const [name, content] of Object.entries(files))
      expect(readFileSync(path(`two/model/${name}`), "utf8")).toBe(content);
    expect(json("two/model/config.json")).toEqual({ ...own, eos_token_id: [0, 1], other: { x: 1 } });
  });
});

describe("verifyData", () => {
  it("reads every byte", async () => {
    const said: string[] = [];
    const log = (message: string): void => void said.push(message);
    await runTo(config(), { until: 1, verifyData: true, log });
    expect(said.at(-1)).toMatch(/^data verified: (\d+) of \1 shards have their hash$/);
    const shard = readFileSync(path("d/train_000001.bin"));
    shard[shard.length - 2]! ^= 1;
    writeFileSync(path("d/train_000001.bin"), shard);
    await runTo(config({ out: path("unverified") }), { until: 1 });
    const wrong =
      /train_000001\.bin: expected a file of SHA-256 [0-9a-f]{64}, as dataset\.json says, but received [0-9a-f]{64}$/;
    await refused(runTo(config({ out: path("two") }), { verifyData: true }), wrong);
    expect(existsSync(path("two"))).toBe(false);
    using model = await modelOf(280);
    const data = path("d/train_*.bin");
    await refused(evaluate(model, { data, sequenceLength: 16, verifyData: true }), wrong);
    await evaluate(model, { data, sequenceLength: 16 });
  });

  it("checks tokens where there is no hash", async () => {
    await writeMadeData(path());
    const shards = { data: { train: path("train.bin"), val: path("val.bin") } };
    const said: string[] = [];
    const log = (message: string): void => void said.push(message);
    await runTo(config(shards, 96), { until: 1, verifyData: true, log });
    expect(said.at(-1)).toBe(
      "data verified: 0 of 2 shards have their hash; 2 without a hash hold only tokens of the vocabulary",
    );
    await refused(
      runTo(config({ ...shards, out: path("two") }, 90), { verifyData: true }),
      /(train|val)\.bin: position \d+: expected a token id below /,
    );
  });
});

describe("evaluate", () => {
  it("refuses data of a larger vocabulary, and of another tokenizer than the model's folder", async () => {
    const data = path("d/val_*.bin");
    using small = await modelOf(200);
    await refused(evaluate(small, { data, sequenceLength: 16 }), /at most the model's 200 tokens/);
    await runTo(config());
    await prepare("other", "lamp window");
    using model = await Llama.load(path("run/model"), { device: "cpu" });
    await evaluate(model, { data, sequenceLength: 16 });
    await refused(
      evaluate(model, { data: path("other/val_*.bin"), sequenceLength: 16 }),
      /run\/model\/tokenizer\.json: expected the tokenizer of the data/,
    );
  });
});

async function modelOf(vocab_size: number): Promise<Llama> {
  return Llama.create({ ...madeConfig(path()).model!, vocab_size }, { device: "cpu", precision: "fp32" });
}
