import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { CheckpointError, ConfigError } from "../../lib/errors.js";
import { Llama } from "../../lib/nn/llama.js";
import { madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { sign } from "../support/manifest.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeMadeData(path()));

const checkpoints = () => readdirSync(path("run/checkpoints")).sort();

describe("checkpoints", () => {
  it("are written when they are due, the newest kept", async () => {
    await runTo(madeConfig(path(), { checkpoint: { everySteps: 2, keep: 3 } }), { until: 5 });
    expect(checkpoints()).toEqual(["step-00000002", "step-00000004", "step-00000005"]);
    expect(readFileSync(path("run/latest"), "utf8")).toBe("step-00000005\n");
    await runTo(madeConfig(path(), { checkpoint: { everySteps: 2, keep: 3 } }), { resume: true });
    expect(checkpoints()).toEqual(["step-00000008", "step-00000010", "step-00000012"]);
  });

  it("hold a Hugging Face model and the trainer's state", async () => {
    await runTo(madeConfig(path(), { precision: "bf16" }), { until: 3 });
    const folder = path("run/checkpoints/step-00000003");
    expect(readdirSync(folder).sort()).toEqual([
      "config.json",
      "generation_config.json",
      "manifest.json",
      "model.safetensors",
      "trainer",
    ]);
    expect(readdirSync(`${folder}/trainer`).sort()).toEqual([
      "data.json",
      "exp_avg.safetensors",
      "exp_avg_sq.safetensors",
      "master.safetensors",
      "state.json",
    ]);
    const state = JSON.parse(readFileSync(`${folder}/trainer/state.json`, "utf8")) as Record<string, unknown>;
    expect(state).toMatchObject({
      step: 3,
      stage: 0,
      tokens: 768,
      positions: 192,
      optimizerSteps: 3,
      seed: 1,
      data: { epoch: 0, tokens: 768 },
    });
    expect(state.configHash).toMatch(/^[0-9a-f]{64}$/);
    using model = await Llama.load(folder, { device: "cpu", precision: "bf16" });
    expect(model.config.hidden_size).toBe(64);
  });

  it("survive a crash while the next one was written", async () => {
    const config = madeConfig(path());
    await runTo(config, { until: 4 });
    const part = path("run/checkpoints/.step-00000008.part");
    mkdirSync(part);
    writeFileSync(`${part}/model.safetensors`, "half a file");
    writeFileSync(path("run/latest.part"), "step-000");
    const rest = await runTo(config, { resume: true, until: 8 });
    expect(rest.map(({ step }) => step)).toEqual([5, 6, 7, 8]);
    expect(checkpoints()).toEqual(["step-00000006", "step-00000008"]);
  });

  it.each([
    { file: "trainer/master.safetensors", bytes: 5000, problem: /master\.safetensors: expected .*(expected|header)/ },
    { file: "trainer/exp_avg.safetensors", bytes: 4, problem: /exp_avg\.safetensors: expected / },
    { file: "trainer/state.json", bytes: 30, problem: /state\.json: cannot be read: / },
    { file: "trainer/state.json", bytes: 0, problem: /state\.json: cannot be read: / },
  ])("cut short are told by their file: $file at $bytes bytes", async ({ file, bytes, problem }) => {
    const config = madeConfig(path());
    await runTo(config, { until: 3 });
    const folder = path("run/checkpoints/step-00000003");
    truncateSync(`${folder}/${file}`, bytes);
    await expect(runTo(config, { resume: true })).rejects.toThrow(CheckpointError);
    const size = new RegExp(`${file}: expected the \\d+ bytes that manifest.json says but received ${bytes}; .*\n`);
    await expect(runTo(config, { resume: true })).rejects.toThrow(size);
    // Where there is no manifest to say so, the file itself does.
    await sign(folder);
    const resumed = runTo(config, { resume: true });
    await expect(resumed).rejects.toThrow(CheckpointError);
    await expect(resumed).rejects.toThrow(problem);
  });

  it.each([
    { what: "no data position", change: { data: undefined }, problem: /data: expected .* but received nothing/ },
    {
      what: "half a data position",
      change: { data: { epoch: 0 } },
      problem: /data\.tokens: expected .* but received nothing/,
    },
    { what: "no times", change: { time: undefined }, problem: /time: expected .* but received nothing/ },
    { what: "no energy", change: { energy: undefined }, problem: /energy: expected .* but received nothing/ },
    { what: "a step that is none", change: { step: 2.5 }, problem: /step: expected an integer but received 2\.5/ },
    {
      what: "fewer tokens than none",
      change: { tokens: -1 },
      problem: /tokens: expected a number of at least 0 but received -1/,
    },
    {
      what: "half a hash",
      change: { configHash: "ab" },
      problem: /configHash: expected a SHA-256 .* but received "ab"/,
    },
    { what: "a step after the last", change: { step: 13 }, problem: /step: expected 12.*but received 13/ },
    { what: "another stage", change: { stage: 1 }, problem: /stage: expected 0.*but received 1/ },
    { what: "another step's tokens", change: { tokens: 1024 }, problem: /tokens: expected 768.*but received 1024/ },
    { what: "another seed", change: { seed: 2 }, problem: /seed: expected 1.*but received 2/ },
    {
      what: "another config's hash",
      change: { configHash: "0".repeat(64) },
      problem: /configHash: expected [0-9a-f]{64}, as the run's config has it, but received 0{64}/,
    },
  ])("whose state has $what are refused by file and key", async ({ change, problem }) => {
    const config = madeConfig(path());
    await runTo(config, { until: 3 });
    const file = path("run/checkpoints/step-00000003/trainer/state.json");
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...change }));
    await sign(path("run/checkpoints/step-00000003"));
    const resumed = runTo(config, { resume: true });
    await expect(resumed).rejects.toThrow(CheckpointError);
    await expect(resumed).rejects.toThrow(problem);
    await expect(resumed).rejects.toThrow(file);
  });

  it("of another run are refused", async () => {
    await runTo(madeConfig(path()), { until: 3 });
    await runTo(madeConfig(path(), { out: path("other"), optimizer: { lr: 1e-3 } }), { until: 3 });
    const place = path("run/checkpoints/step-00000003");
    rmSync(place, { recursive: true });
    renameSync(path("other/checkpoints/step-00000003"), place);
    await expect(runTo(madeConfig(path()), { resume: true })).rejects.toThrow(/state\.json: configHash: expected /);
  });

  it("that are gone are told by the pointer to them", async () => {
    const config = madeConfig(path());
    await runTo(config, { until: 3 });
    rmSync(path("run/checkpoints/step-00000003"), { recursive: true });
    const resumed = runTo(config, { resume: true });
    await expect(resumed).rejects.toThrow(/latest: names step-00000003, but there is no folder/);
    writeFileSync(path("run/latest"), "");
    await expect(runTo(config, { resume: true })).rejects.toThrow(
      /latest: expected a checkpoint's name.*but received ""/,
    );
  });

  it("are what another run may begin with", async () => {
    const fresh = await runTo(madeConfig(path()));
    const from = path("run/model");
    const next = madeConfig(path(), { model: undefined, init: { from }, out: path("next") });
    const lines = await runTo(next, { until: 1 });
    expect(lines[0]!.loss).toBeLessThan(fresh[0]!.loss - 0.1);
    const larger = { ...madeConfig(path()).model, vocab_size: 97 };
    const mismatch = madeConfig(path(), { model: larger, init: { from }, out: path("wrong") });
    await expect(runTo(mismatch)).rejects.toThrow(
      /vocab_size: expected 97, as the run's model section says, but received 96; leave/,
    );
    const long = { batch: { tokensPerStep: 512, sequenceLength: 128 } };
    const longer = madeConfig(path(), { ...long, model: undefined, init: { from }, out: path("long") });
    await expect(runTo(longer)).rejects.toThrow(ConfigError);
    await expect(runTo(longer)).rejects.toThrow(
      /^batch\.sequenceLength: expected at most max_position_embeddings of .*model\/config\.json \(64\) but received 128$/,
    );
    truncateSync(path("run/model/model.safetensors"), 9000);
    const damaged = madeConfig(path(), { model: undefined, init: { from }, out: path("damaged") });
    await expect(runTo(damaged)).rejects.toThrow(CheckpointError);
    // What never began is no run: the same command works once its cause is gone.
    expect(existsSync(path("damaged/metrics.jsonl"))).toBe(false);
    await runTo(madeConfig(path(), { out: path("damaged") }), { until: 1 });
  });
});
