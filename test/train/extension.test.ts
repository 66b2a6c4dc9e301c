/** A run that goes on with another length: to the bits of a run that had that length from the beginning, or not at all. */
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { ConfigError } from "../../lib/errors.js";
import { readMetrics } from "../../lib/report/metrics.js";
import { computed, madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(() => writeMadeData(path()));

const name = (step: number) => `step-${String(step).padStart(8, "0")}`;
const json = (file: string) => JSON.parse(readFileSync(path(file), "utf8"));
const model = (run = "run") => readFileSync(path(`${run}/model/model.safetensors`));
const constant = { schedule: { type: "constant", warmupSteps: 2 } };
const wsd = { schedule: { type: "wsd", warmupSteps: 2, decayFraction: 0.5 } };
/** The made run, two stages of 6 steps, with another length; evaluated at the end of its stages only. */
const config = (steps: number, changes: object = constant) =>
  madeConfig(path(), {
    checkpoint: { everySteps: 2, keep: 20 },
    eval: { everySteps: 100 },
    train: { steps },
    ...changes,
  });

/** Trains a run in one go, whose first stage has six steps, and gives its model. */
async function atOnce(steps: number, changes: object = constant): Promise<Buffer> {
  const stages = [{ patchSize: 4, steps: 6 }, { patchSize: 1 }];
  await runTo(config(steps, { ...changes, stages, out: path("once") }));
  return model("once");
}

async function refused(run: Promise<unknown>, says: RegExp): Promise<void> {
  const error: unknown = await run.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as Error).message).toMatch(says);
}

describe("a run of a constant rate", () => {
  it("goes on after its end, in its last stage, to the bits of a longer run", async () => {
    await runTo(config(12));
    const ended = model();
    const said: string[] = [];
    const lines = await runTo(config(20), { resume: true, until: 15, log: (message) => said.push(message) });
    expect(lines.map(({ step, stage }) => [step, stage])).toEqual([
      [13, 1],
      [14, 1],
      [15, 1],
    ]);
    expect(said).toContain("train.steps: 12 up to step 12, then 20");
    expect(json("run/config.json")).toMatchObject({ train: { steps: 20 }, stages: [{ steps: 6 }, { patchSize: 1 }] });
    expect(json("run/changes.json")).toMatchObject([
      { step: 12, tokens: 3072, changed: { "train.steps": { before: 12 } } },
    ]);
    expect(model().equals(ended)).toBe(true); // until there is another
    // The same command goes on with it, and so does the run's own config.
    await runTo(config(20), { resume: true, until: 17 });
    await runTo({ ...config(20), ...json("run/config.json") }, { resume: true });
    expect(json("run/changes.json")).toHaveLength(1);
    expect(model().equals(await atOnce(20))).toBe(true);
    const metrics = await readMetrics(path("run/metrics.jsonl"));
    const without = (line: object) => ({ ...line, valLoss: null }); // the earlier end was evaluated
    expect(computed(metrics).map(without)).toEqual(
      computed(await readMetrics(path("once/metrics.jsonl"))).map(without),
    );
  });

  it("goes on before its end, and again, and from a checkpoint of before all that", async () => {
    await runTo(config(12), { until: 3 });
    await runTo(config(14), { resume: true, until: 9 });
    await runTo(config(16), { resume: true });
    const whole = await atOnce(16);
    expect(model().equals(whole)).toBe(true);
    await runTo(config(16), { resume: true, from: name(2) });
    expect(model().equals(whole)).toBe(true);
    expect(json("run/changes.json")).toMatchObject([
      { step: 2, changed: { "train.steps": { before: 12, after: 16 } } },
    ]);
  });

  it("counts in tokens and in FLOPs, too", async () => {
    await runTo(config(12, { ...constant, train: { tokens: 12 * 256 } }));
    await runTo(config(16, { ...constant, train: { tokens: 16 * 256 } }), { resume: true });
    expect(model().equals(await atOnce(16))).toBe(true);

    const out = { out: path("flops") };
    const ofEnd = (await readMetrics(path("once/metrics.jsonl"))).map(({ flops }) => flops);
    await runTo(config(0, { ...constant, ...out, train: { flops: ofEnd[11] }, stages: config(12).stages }));
    const { stages } = json("flops/config.json");
    const lines = await runTo(config(0, { ...constant, ...out, train: { flops: 2 * ofEnd[11]! }, stages }), {
      resume: true,
    });
    expect(lines.every(({ stage }) => stage === 1)).toBe(true);
    expect(lines.at(-1)!.flops / (2 * ofEnd[11]!)).toBeCloseTo(1, 1);
  });

  it("is not made shorter unawares, and never below what is done", async () => {
    await runTo(config(12));
    await refused(
      runTo(config(11), { resume: true }),
      /^--resume: train: expected a length of at least the run's 12 steps but received 11; if the run was made longer, put that length into the config; a run is made shorter from one of its checkpoints \(--from step-N\)$/,
    );
    await refused(
      runTo(config(9), { resume: true, from: name(10) }),
      /^--from: train: expected the run's length of 12 steps, as stages\[1\] has 6 steps in it, and 10 steps of the run are done, but received 9; go on from the newest checkpoint from before that \(--resume --from step-00000008\), /,
    );
    const lines = await runTo(config(9), { resume: true, from: name(8) });
    expect(lines.map(({ step }) => step)).toEqual([9]);
    expect(model().equals(await atOnce(9))).toBe(true);
  });

  it("keeps the end of a stage, or says that it would move", async () => {
    await runTo(config(12), { until: 8 });
    // Other shares than the run has had are meant.
    const stages = [{ patchSize: 4, fraction: 0.45 }, { patchSize: 1 }];
    await refused(
      runTo(config(20, { ...constant, stages }), { resume: true }),
      /train: expected the run's length of 12 steps, as stages\[0\] has 6 steps in it, and 8 steps of the run are done, but received 20; go on from the newest checkpoint .* step-00000006\), /,
    );
    await runTo(config(20, { ...constant, stages }), { resume: true, from: name(6), until: 10 });
    const metrics = await readMetrics(path("run/metrics.jsonl"));
    expect(metrics.map(({ stage }) => stage)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  });
});

describe("a run of wsd", () => {
  it("goes on before its decay, also from a checkpoint that the refusal names", async () => {
    // The second stage, steps 7 to 12, decays from step 10 on.
    await runTo(config(12, wsd));
    const says =
      /^--resume: train: expected the run's length of 12 steps, as the learning rates of stages\[1\] \(wsd\) depend on it from step 10 on, and 12 steps are done, but received 16; go on from the newest checkpoint from before that \(--resume --from step-00000008\), begin a new run with the weights \(init\.from: .*run\/checkpoints\/step-00000012\) or go on all the same \(--resume --from step-00000012 --force\)$/;
    await refused(runTo(config(16, wsd), { resume: true }), says);
    expect(existsSync(path("run/changes.json"))).toBe(false);
    await refused(runTo(config(16, wsd), { resume: true, from: name(10) }), /^--from: train: expected .* step 10 on/);
    await runTo(config(16, wsd), { resume: true, from: name(8) });
    const whole = await atOnce(16, wsd);
    expect(model().equals(whole)).toBe(true);
    rmSync(path("run"), { recursive: true });
    await runTo(config(12, wsd), { until: 8 });
    await runTo(config(16, wsd), { resume: true });
    expect(model().equals(whole)).toBe(true);
  });
});

describe("a run of a cosine", () => {
  const cosine = { schedule: { type: "cosine", warmupSteps: 2 } };

  it("is refused, with what can be done", async () => {
    await runTo(madeConfig(path(), { ...cosine, checkpoint: { everySteps: 100, keep: 1 } }));
    const longer = madeConfig(path(), { ...cosine, train: { steps: 20 } });
    await refused(
      runTo(longer, { resume: true }),
      /stages\[1\] \(cosine\) depend on it from step 10 on, and 12 steps are done, but received 20; begin a new run with the weights \(init\.from: .*run\/checkpoints\/step-00000012\) or go on all the same \(--resume --from step-00000012 --force\)$/,
    );
    // Nothing has been changed by that; and force does what it says.
    expect(await runTo(madeConfig(path(), cosine), { resume: true })).toEqual([]);
    renameSync(path("run"), path("other"));
    const forced = { ...cosine, train: { steps: 14 }, out: path("other") };
    const lines = await runTo(madeConfig(path(), forced), { resume: true, from: name(12), force: true });
    expect(lines.map(({ step }) => step)).toEqual([13, 14]);
  });

  it("goes on where the rates are the caller's, or the schedule is another from there on", async () => {
    const learningRate = () => 1e-3;
    await runTo(config(12, cosine), { learningRate });
    await runTo(config(14, cosine), { resume: true, learningRate });
    await runTo(config(14, { ...cosine, out: path("whole"), stages: [{ patchSize: 4, steps: 6 }, { patchSize: 1 }] }), {
      learningRate,
    });
    expect(model().equals(model("whole"))).toBe(true);
    const lines = await runTo(config(16), { resume: true, from: name(14) });
    expect(lines.map(({ lr }) => lr)).toEqual([3e-3, 3e-3]);
  });
});
