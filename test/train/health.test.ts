/** Numbers gone wrong: the guard, skipped updates, and what a run keeps for going back. */
import { readdirSync, readFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { CheckpointError, ConfigError, DeviceError } from "../../lib/errors.js";
import { Guard } from "../../lib/train/guard.js";
import { noneSkipped, SkippedUpdates } from "../../lib/train/skipped_updates.js";
import { Trainer } from "../../lib/train/trainer.js";
import { madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeMadeData(path()));

const name = (step: number) => `step-${String(step).padStart(8, "0")}`;
const kept = () => readdirSync(path("run/checkpoints")).sort();
const state = (step: number) =>
  JSON.parse(readFileSync(path(`run/checkpoints/${name(step)}/trainer/state.json`), "utf8"));

/** Runs to the end with the last norm's weights times `factor` in one step, whose loss is then another. */
async function disturbed(config: ReturnType<typeof madeConfig>, step: number, factor: number) {
  const said: string[] = [];
  const trainer = await Trainer.open(config, { log: (message) => said.push(message) });
  const { parameters } = trainer.model;
  const norm = parameters.view(parameters.master, "model.norm.weight");
  const lines = [];
  let before: Float32Array | null = null;
  for await (const line of trainer.run()) {
    lines.push(line);
    if (before !== null) norm.write(before);
    before = null;
    if (line.step !== step - 1) continue;
    before = await norm.read();
    norm.write(before.map((weight) => weight * factor));
  }
  const { skippedUpdates } = trainer;
  await trainer.close();
  return { lines, said, skippedUpdates };
}

describe("the guard", () => {
  const guarded = (guard: object) =>
    madeConfig(path(), { guard, stages: [{ patchSize: 1 }], train: { steps: 12 }, optimizer: { lr: 1e-4 } });

  it("holds back a step whose loss lies far above the last ones, and counts it", async () => {
    const { lines, said, skippedUpdates } = await disturbed(guarded({ loss: 8, window: 4 }), 8, 30);
    expect(lines.map(({ skipped = 0 }) => skipped)).toEqual([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    expect(said.filter((text) => text.includes("skipped"))).toEqual([
      expect.stringMatching(
        /^step 8: loss \d\S*, gradient norm \d\S* \(the guard's limits: \d\S*, Infinity\): the update was skipped$/,
      ),
    ]);
    expect(lines[7]!.gradNorm).toBeGreaterThan(0); // as it was, and no NaN
    expect(skippedUpdates).toBe(1);
    expect(state(12)).toMatchObject({ step: 12, optimizerSteps: 11, skipped: { total: 1 } });
    expect(readFileSync(path("run/report.html"), "utf8")).toContain("1 update was skipped.");
  });

  it("and one whose gradient does", async () => {
    const { lines } = await disturbed(guarded({ gradNorm: 8, window: 4 }), 8, 30);
    expect(lines.at(-1)!.skipped).toBe(1);
    const { lines: unguarded } = await disturbed(madeConfig(path(), { out: path("free") }), 8, 30);
    expect(unguarded.at(-1)!.skipped).toBeUndefined();
  });

  it("skips the same steps wherever a run is broken off", async () => {
    // So narrow that it takes some of the steps of any run; it begins anew in the second stage.
    const guard = { loss: 0.3, gradNorm: 0.3, window: 2 };
    const lines = await runTo(madeConfig(path(), { guard }));
    expect(lines.at(-1)!.skipped).toBeGreaterThan(1);
    expect([lines[1]!.skipped, lines[7]!.skipped! - lines[5]!.skipped!]).toEqual([undefined, 0]);
    const broken = madeConfig(path(), { guard, out: path("broken") });
    for (const until of [2, 4, 5, 7, 10]) await runTo(broken, { resume: "auto", until });
    await runTo(broken, { resume: true });
    for (const file of ["model/model.safetensors", `checkpoints/${name(12)}/trainer/exp_avg.safetensors`]) {
      expect(readFileSync(path(`broken/${file}`)).equals(readFileSync(path(`run/${file}`)))).toBe(true);
    }
  });

  it("has the limits that the mean and the deviation of the last steps give", () => {
    const guard = new Guard({ loss: 2, window: 3 }, null);
    for (const loss of [9, 1, 2]) {
      expect(guard.limits).toEqual({ loss: Infinity, norm: Infinity });
      guard.note(loss, 1);
    }
    guard.note(Number.NaN, Infinity); // counts as none
    expect(guard.limits.loss).toBe(Math.fround(4 + 2 * Math.sqrt(19)));
    guard.note(3, 1); // the oldest goes
    expect(guard.limits).toEqual({ loss: 4, norm: Infinity });
    expect(new Guard({ loss: 2, window: 3 }, guard.state).limits).toEqual(guard.limits);
    guard.reset();
    expect(guard.limits.loss).toBe(Infinity);
  });

  it("is refused without a limit", () => {
    expect(() => guarded({ window: 4 })).toThrow(ConfigError);
    expect(() => guarded({})).toThrow(/guard: expected loss, gradNorm or both but received neither/);
    expect(() => guarded({ loss: 3, window: 1 })).toThrow(/guard\.window: expected/);
  });
});

describe("trouble", () => {
  it("begins with a skipped update, and is over after ten that are not", () => {
    const updates = new SkippedUpdates(noneSkipped);
    updates.note(1, false);
    expect(updates.state).toEqual(noneSkipped);
    for (let step = 2; step < 20; step += 2) {
      updates.note(step, true);
      updates.note(step + 1, false);
    }
    expect(updates.state).toEqual({ total: 9, first: 2, inARow: 0, since: 1 });
    const resumed = new SkippedUpdates(updates.state);
    for (let step = 20; step < 28; step++) resumed.note(step, false);
    expect(resumed.state.first).toBe(2);
    resumed.note(28, false);
    expect(resumed.state).toEqual({ total: 9, first: null, inARow: 0, since: 0 });
    for (let step = 29; step < 38; step++) resumed.note(step, true);
    expect(resumed.diverged).toBe(false);
    resumed.note(38, true);
    expect(resumed.diverged).toBe(true);
  });

  it("leaves the checkpoints from before it, and its advice can be followed", async () => {
    const config = madeConfig(path(), { checkpoint: { everySteps: 2, keep: 1 }, train: { steps: 24 } });
    const trainer = await Trainer.open(config);
    const { parameters } = trainer.model;
    const run = (async () => {
      for await (const { step } of trainer.run()) {
        if (step !== 5) continue;
        const norm = parameters.view(parameters.master, "model.norm.weight");
        norm.narrow(0, 17, 1).write(Float32Array.of(Number.NaN));
      }
    })();
    await expect(run).rejects.toThrow(DeviceError);
    await expect(run).rejects.toThrow(
      /10 updates in a row were skipped \(last at step 15\); go back to step-00000004, the newest checkpoint from before step 6, the first of them, with a lower learning rate: --resume --from step-00000004 --set optimizer\.lr=0\.0015$/,
    );
    await trainer.close();
    expect(kept()).toEqual([4, 15].map(name));

    await expect(Trainer.open(config, { resume: true })).rejects.toThrow(CheckpointError);
    await expect(Trainer.open(config, { resume: true })).rejects.toThrow(
      /step-00000015: model\.norm\.weight\[17\]: expected a finite weight but received NaN$/,
    );
    const slower = madeConfig(path(), {
      checkpoint: { everySteps: 2, keep: 1 },
      train: { steps: 24 },
      optimizer: { lr: 0.0015 },
    });
    const lines = await runTo(slower, { resume: true, from: "step-00000004" });
    expect(lines.map(({ step }) => step)).toEqual(Array.from({ length: 20 }, (_, index) => index + 5));
    expect(kept()).toEqual([name(24)]);
    expect(readFileSync(path("run/report.html"), "utf8")).toContain("optimizer.lr: 0.003 up to step 4, then 0.0015");
  });
});
