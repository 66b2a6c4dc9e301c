/** Conditions under which a run does not start or resume. */
import { readFileSync, truncateSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { TokenDataset } from "../../lib/data/dataset.js";
import { backends, Device } from "../../lib/device.js";
import { ConfigError, DataError, DeviceError, OutOfMemoryError } from "../../lib/errors.js";
import { allocate, Spec } from "../../lib/nn/buffers.js";
import { Llama } from "../../lib/nn/llama.js";
import { readMetrics } from "../../lib/report/metrics.js";
import { Stepper } from "../../lib/train/stepper.js";
import { Trainer } from "../../lib/train/trainer.js";
import { madeConfig, runTo, writeMadeData, writeShard } from "../support/made_run.js";
import { sign } from "../support/manifest.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeMadeData(path()));
afterEach(() => void jest.restoreAllMocks());

describe("a run that cannot be", () => {
  it("names the token that the model does not know, and where it stands", async () => {
    await writeShard(
      path("train.bin"),
      Int32Array.from({ length: 3000 }, (_, index) => (index === 1234 ? 96 : 1)),
    );
    const run = runTo(madeConfig(path(), { data: { train: path("train.bin") }, eval: undefined }));
    await expect(run).rejects.toThrow(DataError);
    await expect(run).rejects.toThrow(/train\.bin.*\b96\b.*1234|train\.bin.*1234.*\b96\b/);
    await writeShard(
      path("val.bin"),
      Int32Array.from({ length: 200 }, () => 500),
    );
    await expect(runTo(madeConfig(path(), { out: path("two") }))).rejects.toThrow(/val\.bin.*500/);
  });

  it.each([
    {
      what: "a step that K * T does not divide",
      keys: { stages: [{ patchSize: 3 }] },
      problem: /patchSize 3 \* sequenceLength 16 = 48/,
    },
    {
      what: "a micro-batch that does not divide",
      keys: { batch: { tokensPerStep: 256, sequenceLength: 16, microBatch: 3 } },
      problem: /batch\.microBatch: expected a divisor of the 4 sequences/,
    },
    {
      what: "stages whose blocks do not divide each other",
      keys: {
        stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 3 }],
        batch: { tokensPerStep: 384, sequenceLength: 16 },
      },
      problem: /stages\[1\]: expected .* to divide that of the longest stage, 64, but received 48$/,
    },
    {
      what: "more positions than the model has",
      keys: { batch: { tokensPerStep: 512, sequenceLength: 128 } },
      problem: /expected at most model\.max_position_embeddings \(64\) but received 128/,
    },
    {
      what: "a misspelled key",
      keys: { optimiser: {} },
      problem: /optimiser: unknown key; did you mean optimizer\?/,
    },
  ])("is told by the config: $what", ({ keys, problem }) => {
    expect(() => madeConfig(path(), keys)).toThrow(ConfigError);
    expect(() => madeConfig(path(), keys)).toThrow(problem);
  });

  it("is told by the data: shards cut short or missing", async () => {
    truncateSync(path("train.bin"), 1024 + 100);
    await expect(runTo(madeConfig(path(), { out: path("cut") }))).rejects.toThrow(
      /train\.bin: expected .* the file is cut short$/,
    );
    const missing = madeConfig(path(), { data: { train: path("none_*.bin") }, eval: undefined, out: path("missing") });
    await expect(runTo(missing)).rejects.toThrow(/none_\*\.bin/);
  });

  it("is told by the model: ids that begin and end a text where no tokenizer says them", async () => {
    const { model } = madeConfig(path());
    const ends = madeConfig(path(), { model: { ...model, eos_token_id: [1, 96] } });
    await expect(runTo(ends)).rejects.toThrow(
      "model.eos_token_id: expected ids of tokens, from 0 to below vocab_size, 96, but received 96",
    );
    const begins = madeConfig(path(), { model: { ...model, bos_token_id: -1 } });
    await expect(runTo(begins)).rejects.toThrow(/^model\.bos_token_id: .* but received -1$/);
  });

  it("leaves nothing open, wherever opening it failed", async () => {
    const config = madeConfig(path());
    await runTo(config, { until: 3 });
    const disposals = [jest.spyOn(Llama.prototype, "dispose"), jest.spyOn(Stepper.prototype, "dispose")];
    const closed = jest.spyOn(TokenDataset.prototype, "close");
    const counts = () => [...disposals, closed].map(({ mock }) => mock.calls.length);
    truncateSync(path("run/checkpoints/step-00000003/trainer/exp_avg_sq.safetensors"), 5000);
    await sign(path("run/checkpoints/step-00000003"));
    await expect(Trainer.open(config, { resume: true })).rejects.toThrow(/exp_avg_sq/);
    expect(counts()).toEqual([1, 1, 2]); // of the datasets one is held out, and closed when it is read
    const from = path("run/checkpoints/step-00000003");
    truncateSync(`${from}/model.safetensors`, 5000);
    const begun = madeConfig(path(), { model: undefined, init: { from }, out: path("two") });
    await expect(Trainer.open(begun)).rejects.toThrow(/model\.safetensors/);
    expect(counts()).toEqual([1, 1, 4]);
  });

  it("takes all its memory or none", () => {
    const device = Device.open("cpu");
    const used = device.memory().usedBytes;
    const tooLarge = new Spec("f32", [Math.ceil(device.memory().totalBytes)]);
    expect(() => allocate(device, { small: new Spec("f32", [1000]), tooLarge })).toThrow(OutOfMemoryError);
    expect(device.memory().usedBytes).toBe(used);
  });

  it("is told by the arguments of Trainer.open", async () => {
    const open = Trainer.open as (...args: unknown[]) => Promise<Trainer>;
    const config = madeConfig(path());
    await expect(open("run.yaml")).rejects.toThrow(TypeError);
    await expect(open("run.yaml")).rejects.toThrow(
      /^Trainer\.open: config: expected an object but received the string/,
    );
    const { schedule: _, ...unparsed } = config;
    await expect(open(unparsed)).rejects.toThrow(ConfigError);
    await expect(open(unparsed)).rejects.toThrow(/^Trainer\.open: config: expected .* without schedule$/);
    const { recompute: __, ...old } = config;
    await expect(open(old)).rejects.toThrow(/^Trainer\.open: config: expected .* without recompute$/);
    await expect(open(config, null)).rejects.toThrow("Trainer.open: options: expected an object but received null");
    await expect(open(config, { log: 1 })).rejects.toThrow("Trainer.open: log: expected a function but received 1");
    await expect(open(config, { resume: 1 })).rejects.toThrow(
      'Trainer.open: resume: expected a boolean or "auto" but received 1',
    );
    const from = "Trainer.open: from: expected";
    await expect(open(config, { resume: true, from: 3 })).rejects.toThrow(
      `${from} a checkpoint's name, such as step-400,`,
    );
    await expect(open(config, { resume: true, from: "3" })).rejects.toThrow(/from: expected .* but received "3"$/);
    await expect(open(config, { resume: "auto", from: "step-3" })).rejects.toThrow(`${from} it with resume: true`);
    await expect(open(config, { resume: true, force: true })).rejects.toThrow(/force: expected it with from but/);
  });

  const cuda = backends().find(({ name }) => name === "cuda");
  (cuda?.available ? it.skip : it)("does not fall back to another device", async () => {
    await expect(runTo(madeConfig(path(), { device: "cuda" }))).rejects.toThrow(DeviceError);
    await expect(runTo(madeConfig(path(), { device: "cuda" }))).rejects.toThrow(/cuda/);
  });
});

describe("a run whose gradient is not finite", () => {
  it("leaves the parameters, and is given up after ten updates in a row", async () => {
    const messages: string[] = [];
    const trainer = await Trainer.open(madeConfig(path(), { train: { steps: 24 } }), {
      log: (message) => messages.push(message),
    });
    const { master, layout } = trainer.model.parameters;
    const poisoned = trainer.model.parameters.view(master, "model.norm.weight");
    poisoned.write(new Float32Array(64).fill(Number.POSITIVE_INFINITY));
    const embedding = () => trainer.model.parameters.view(master, layout.slots[0]!.name).read();
    const before = await embedding();
    const run = (async () => {
      for await (const _ of trainer.run());
    })();
    await expect(run).rejects.toThrow(DeviceError);
    await expect(run).rejects.toThrow(/training diverged: 10 updates in a row .*step 10/);
    expect(trainer.step).toBe(10);
    expect(messages.filter((message) => message.includes("the update was skipped"))).toHaveLength(10);
    expect(await embedding()).toEqual(before);
    const lines = await readMetrics(path("run/metrics.jsonl"));
    expect(lines.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(lines[0]!.gradNorm).toBeNaN();
    await trainer.close();
  });

  it("goes on where the gradient is finite again", async () => {
    const messages: string[] = [];
    const config = madeConfig(path());
    const trainer = await Trainer.open(config, { log: (message) => messages.push(message) });
    const { parameters } = trainer.model;
    const norm = parameters.view(parameters.master, "model.norm.weight");
    const run = trainer.run();
    norm.write(new Float32Array(64).fill(Number.NaN));
    expect((await run.next()).value!.gradNorm).toBeNaN();
    norm.write(new Float32Array(64).fill(1));
    const lines = [];
    for await (const line of run) lines.push(line);
    expect(messages.filter((message) => message.includes("skipped"))).toHaveLength(1);
    expect(lines).toHaveLength(11);
    expect(lines.every(({ loss, gradNorm }) => Number.isFinite(loss) && Number.isFinite(gradNorm))).toBe(true);
    await trainer.close();
    // A skipped update is none: stage 0 has six steps, and the bias correction of its moments counts five.
    const state = readFileSync(path("run/checkpoints/step-00000006/trainer/state.json"), "utf8");
    expect(JSON.parse(state)).toMatchObject({ step: 6, optimizerSteps: 5 });
  });
});
