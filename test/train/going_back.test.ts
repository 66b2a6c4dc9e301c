/** A run that goes on from an earlier checkpoint, with another config. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { ConfigError } from "../../lib/errors.js";
import { readMetrics } from "../../lib/report/metrics.js";
import { Trainer } from "../../lib/train/trainer.js";
import { computed, madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeMadeData(path()));

const name = (step: number) => `step-${String(step).padStart(8, "0")}`;
const kept = (folder = "run/checkpoints") => readdirSync(path(folder)).sort();
const checkpoint = { everySteps: 2, keep: 9 };
const config = (changes = {}) => madeConfig(path(), { checkpoint, ...changes });
const lower = { optimizer: { lr: 1e-3 } };
const json = (file: string) => JSON.parse(readFileSync(path(file), "utf8"));
const model = () => readFileSync(path("run/model/model.safetensors"));

describe("a run that goes back", () => {
  it("goes on with other keys, says which, and moves what came after", async () => {
    await runTo(config());
    const old = await readMetrics(path("run/metrics.jsonl"));
    const said: string[] = [];
    const lines = await runTo(config(lower), { resume: true, from: "step-4", log: (message) => said.push(message) });
    expect(lines.map(({ step }) => step)).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
    expect(lines[0]!.lr).toBeCloseTo(old[4]!.lr / 3, 9);
    expect(said.join("\n")).toContain("optimizer.lr: 0.003 up to step 4, then 0.001");
    expect(said.join("\n")).toMatch(/what the run did after step 4 is in .*run\/abandoned\/0001/);

    const metrics = await readMetrics(path("run/metrics.jsonl"));
    expect(computed(metrics)).toEqual(computed([...old.slice(0, 4), ...lines]));
    expect(await readMetrics(path("run/abandoned/0001/metrics.jsonl"))).toEqual(old.slice(4));
    expect(kept()).toEqual([2, 4, 6, 8, 10, 12].map(name));
    expect(kept("run/abandoned/0001/checkpoints")).toEqual([6, 8, 10, 12].map(name));
    expect(existsSync(path("run/abandoned/0001/model/model.safetensors"))).toBe(true);
    expect(readFileSync(path("run/abandoned/0001/model/model.safetensors")).equals(model())).toBe(false);

    const change = { step: 4, changed: { "optimizer.lr": { before: 0.003, after: 0.001 } } };
    expect(json("run/changes.json")).toMatchObject([{ ...change, tokens: 1024, positions: 256 }]);
    expect(json("run/abandoned/0001/note.json")).toMatchObject({ from: name(4), changed: change.changed });
    expect(json("run/config.json").optimizer.lr).toBe(0.001);
  });

  it("gives the same bits wherever it is broken off, and from the checkpoints before the change too", async () => {
    await runTo(config(), { until: 6 });
    await runTo(config(lower), { resume: true, from: name(4) });
    const whole = model();
    await runTo(config(lower), { resume: true, from: name(4), until: 5 });
    await runTo(config(lower), { resume: true, until: 7 });
    await runTo(config(lower), { resume: true });
    expect(model().equals(whole)).toBe(true);
    // Further back than the change: it happens there now.
    await runTo(config(lower), { resume: true, from: name(2), until: 3 });
    expect(json("run/changes.json")).toMatchObject([{ step: 2, changed: { "optimizer.lr": { before: 0.003 } } }]);
    // And back again, to the config that the run began with: nothing has changed then.
    await runTo(config(), { resume: true, from: name(2) });
    expect(json("run/changes.json")).toEqual([]);
    const again = madeConfig(path(), { checkpoint, out: path("fresh") });
    await runTo(again);
    expect(readFileSync(path("fresh/model/model.safetensors")).equals(model())).toBe(true);
  });

  it("takes the changes with it, and no others without --force", async () => {
    await runTo(config(), { until: 4 });
    await expect(runTo(config(lower), { resume: true })).rejects.toThrow(
      /differs from the run's in optimizer\.lr; go on with .* from one of its checkpoints with the changes \(--from step-N\)/,
    );
    const from = name(2);
    const batch = { batch: { tokensPerStep: 512, sequenceLength: 16 }, seed: 7, train: { steps: 10 } };
    const other = runTo(config({ ...batch, ...lower }), { resume: true, from });
    await expect(other).rejects.toThrow(ConfigError);
    await expect(other).rejects.toThrow(
      /^--from: batch\.tokensPerStep, train\.steps, seed, init\.seed: expected the run's .* --force goes on all the same$/,
    );
    const wider = { ...config().model, rope_theta: 20000 };
    await expect(runTo(config({ model: wider }), { resume: true, from, force: true })).rejects.toThrow(
      /^--from: model\.rope_theta: expected the run's, as the checkpoint's tensors are those of its model/,
    );
    await expect(runTo(config(), { resume: true, from: "step-3" })).rejects.toThrow(
      /step-00000003: expected a checkpoint of the run, which has step-00000002, step-00000004, but received none$/,
    );
    // Nothing has been touched by all that.
    expect(kept()).toEqual([2, 4].map(name));
    expect(existsSync(path("run/abandoned"))).toBe(false);

    const lines = await runTo(config(batch), { resume: true, from, force: true });
    expect(lines.map(({ tokens }) => tokens)).toEqual([3, 4, 5, 6, 7, 8, 9, 10].map((step) => 512 + 512 * (step - 2)));
    const rest = await runTo(config(batch), { resume: true });
    expect(rest).toEqual([]);
    await expect(runTo(config(), { resume: true, from: name(10) })).rejects.toThrow(/--force goes on all the same/);
  });

  it("is resumed where its counts were changed by force", async () => {
    await runTo(config(), { until: 4 });
    const batch = { batch: { tokensPerStep: 512, sequenceLength: 16 } };
    await runTo(config(batch), { resume: true, from: name(2), force: true, until: 5 });
    expect((await runTo(config(batch), { resume: true, until: 6 })).map(({ tokens }) => tokens)).toEqual([2560]);
    // Where the newer ones are damaged, the one from before the change is what is left.
    for (const step of [4, 5, 6]) writeFileSync(path(`run/checkpoints/${name(step)}/config.json`), "{}");
    const lines = await runTo(config(batch), { resume: true, until: 3 });
    expect(lines.map(({ step, tokens }) => [step, tokens])).toEqual([[3, 1024]]);
  });

  it("goes on from where it is, if there is nothing later", async () => {
    await runTo(config(), { until: 4 });
    await runTo(config({ guard: { loss: 6 }, precision: "bf16" }), { resume: true, from: name(4), until: 5 });
    expect(existsSync(path("run/abandoned"))).toBe(false);
    expect(json("run/changes.json")[0].changed).toEqual({
      "guard.loss": { after: 6 },
      "guard.window": { after: 128 },
      precision: { before: "fp32", after: "bf16" },
    });
  });

  it("is begun anew by auto, where there is none, and continued where there is", async () => {
    expect(await runTo(config(), { resume: "auto", until: 3 })).toHaveLength(3);
    expect((await runTo(config(), { resume: "auto", until: 5 })).map(({ step }) => step)).toEqual([4, 5]);
    await expect(Trainer.open(config(lower), { resume: "auto" })).rejects.toThrow(/differs from the run's/);
    // Its checkpoints are a run, too.
    rmSync(path("run/metrics.jsonl"));
    expect((await runTo(config(), { resume: "auto", until: 6 })).map(({ step }) => step)).toEqual([6]);
    rmSync(path("run/metrics.jsonl"));
    await expect(Trainer.open(config())).rejects.toThrow(/already holds a run/);
  });

  it("says what is wrong with its changes", async () => {
    await runTo(config(), { until: 4 });
    await runTo(config(lower), { resume: true, from: name(2), until: 3 });
    const text = readFileSync(path("run/changes.json"), "utf8");
    for (const damaged of ["", "{}", text.replace('"step"', '"stop"'), text.replace("0.003", "0.004")]) {
      writeFileSync(path("run/changes.json"), damaged);
      await expect(runTo(config(lower), { resume: true, from: name(2) })).rejects.toThrow(/changes\.json|configHash/);
    }
  });
});
