/** Which checkpoints a run keeps, and which one it goes on from. */
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
import { beforeEach, describe, expect, it, jest } from "@jest/globals";
import { CheckpointError, ConfigError } from "../../lib/errors.js";
import { type MetricsLine, readMetrics } from "../../lib/report/metrics.js";
import { RunMetrics } from "../../lib/train/run_metrics.js";
import { Trainer } from "../../lib/train/trainer.js";
import { flipBit } from "../support/bits.js";
import { madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeMadeData(path()));

const name = (step: number) => `step-${String(step).padStart(8, "0")}`;
const kept = () => readdirSync(path("run/checkpoints")).sort();
const pointer = (file = "latest") => readFileSync(path(`run/${file}`), "utf8");
const every = (everySteps: number, keep: number, more = {}) =>
  madeConfig(path(), { checkpoint: { everySteps, keep, ...more } });

/** Resumes for one step; returns that step and what was said. */
async function resumed(config = every(2, 3)): Promise<{ step: number; said: string }> {
  const said: string[] = [];
  const trainer = await Trainer.open(config, { resume: true, log: (message) => said.push(message) });
  const { step } = trainer;
  await trainer.close();
  return { step, said: said.join("\n") };
}

describe("a run goes on", () => {
  it("from the newest intact checkpoint, and names the damaged one with it", async () => {
    await runTo(every(2, 3), { until: 6 });
    flipBit(path(`run/checkpoints/${name(6)}/trainer/exp_avg.safetensors`), 8 * 5000 + 6);
    const { step, said } = await resumed();
    expect(step).toBe(4);
    expect(said).toMatch(/step-00000006\/trainer\/exp_avg\.safetensors: expected the bytes that were written /);
    expect(said).toMatch(/the newest intact checkpoint is .*step-00000004\n/);
    expect(pointer()).toBe(`${name(4)}\n`);
    const lines = await runTo(every(2, 3), { resume: true });
    expect(lines[0]!.step).toBe(5);
    // Those that count are intact, and the damaged one has been written again.
    expect(kept()).toEqual([8, 10, 12].map(name));
  });

  it("not at all if none is", async () => {
    await runTo(every(2, 3), { until: 4 });
    for (const step of [2, 4]) truncateSync(path(`run/checkpoints/${name(step)}/model.safetensors`), 100);
    await expect(resumed()).rejects.toThrow(CheckpointError);
    await expect(resumed()).rejects.toThrow(
      /step-00000004\/model.*\n.*step-00000002\/model.*\nno checkpoint of the run is intact$/,
    );
  });

  it("from one that was on the disk when the process was killed, before its pointer was", async () => {
    await runTo(every(2, 1), { until: 4 });
    await runTo(every(3, 1), { resume: true, until: 6 });
    expect(kept()).toEqual([name(6)]);
    writeFileSync(path("run/latest"), `${name(4)}\n`);
    const { step, said } = await resumed();
    expect(step).toBe(6);
    expect(said).toContain(`names ${name(4)}, but there is no folder`);
    expect(pointer()).toBe(`${name(6)}\n`);
  });

  it.each(["", "../../elsewhere"])("whatever the pointer says: %j", async (text) => {
    await runTo(every(2, 3), { until: 2 });
    writeFileSync(path("run/latest"), text);
    const { step, said } = await resumed();
    expect(step).toBe(2);
    expect(said).toContain(`expected a checkpoint's name, as step-00000500 but received ${JSON.stringify(text)}`);
  });

  it("from one without a manifest, and says so", async () => {
    await runTo(every(2, 3), { until: 2 });
    rmSync(path(`run/checkpoints/${name(2)}/manifest.json`));
    const { step, said } = await resumed();
    expect(step).toBe(2);
    expect(said).toMatch(/step-00000002 has no manifest\.json: it is taken as it is/);
  });

  it("without what a killed process left", async () => {
    await runTo(every(2, 3), { until: 4 });
    for (const left of [`.${name(6)}.part`, `.${name(2)}.gone`, `.${name(4)}.old`]) {
      mkdirSync(path(`run/checkpoints/${left}/trainer`), { recursive: true });
    }
    renameSync(path(`run/checkpoints/${name(2)}`), path(`run/checkpoints/.${name(2)}.old`));
    mkdirSync(path("run/.model.part"));
    for (const file of ["latest.part", "config.json.part", "report.html.part"])
      writeFileSync(path(`run/${file}`), "half");
    await resumed();
    expect(kept()).toEqual([2, 4].map(name));
    expect(readdirSync(path("run")).filter((file) => /\.part$/.test(file))).toEqual([]);
  });

  it("with every bit that was written: some dozens of flips, each refused or mended", async () => {
    const config = every(2, 3);
    await runTo(config, { until: 2 });
    const folder = path(`run/checkpoints/${name(2)}`);
    const inside = (readdirSync(folder, { recursive: true }) as string[]).filter((file) => /\.\w+$/.test(file));
    expect(inside.length).toBe(9);
    for (const [index, file] of inside.entries()) {
      const bits = 8 * readFileSync(`${folder}/${file}`).length;
      for (const bit of [0, 1 + index, Math.floor(bits / 3), bits - 9 + (index % 8)]) {
        flipBit(`${folder}/${file}`, bit);
        const outcome: unknown = await resumed(config).catch((error: unknown) => error);
        expect({ file, bit, refused: outcome instanceof CheckpointError }).toEqual({ file, bit, refused: true });
        flipBit(`${folder}/${file}`, bit);
      }
    }
    const record = readFileSync(path("run/data.json"));
    flipBit(path("run/data.json"), 8 * 100 + 3);
    expect((await resumed(config)).said).toContain("data.json is not what the checkpoint has: restoring it");
    expect(readFileSync(path("run/data.json")).equals(record)).toBe(true);
  });
});

describe("a run keeps", () => {
  it("the newest intact ones: a damaged one does not count", async () => {
    await runTo(every(2, 2), { until: 6 });
    expect(kept()).toEqual([4, 6].map(name));
    flipBit(path(`run/checkpoints/${name(4)}/model.safetensors`), 8 * 3000);
    await runTo(every(2, 3), { resume: true, until: 10 });
    expect(kept()).toEqual([6, 8, 10].map(name));
    flipBit(path(`run/checkpoints/${name(8)}/model.safetensors`), 8 * 3000);
    await runTo(every(2, 3), { resume: true });
    expect(kept()).toEqual([6, 8, 10, 12].map(name));
  });

  it("the one of the lowest validation loss", async () => {
    const config = every(100, 1, { keepBest: true });
    const lines: MetricsLine[] = [];
    await using trainer = await Trainer.open(config);
    expect(trainer.bestCheckpoint).toBeNull();
    for await (const line of trainer.run()) lines.push(line);
    const evaluated = lines.filter(({ valLoss }) => valLoss !== undefined);
    const best = evaluated.reduce((a, b) => (b.valLoss! < a.valLoss! ? b : a)).step;
    expect(pointer("best")).toBe(`${name(best)}\n`);
    expect(trainer.bestCheckpoint).toBe(path(`run/checkpoints/${name(best)}`));
    expect(kept()).toEqual([...new Set([best, 12])].sort((a, b) => a - b).map(name));
    await expect(async () =>
      madeConfig(path(), { checkpoint: { keepBest: true }, eval: undefined, data: { train: "a" } }),
    ).rejects.toThrow(/checkpoint\.keepBest: expected held-out data in data\.val but received nothing/);
  });

  it("the best one as long as no other is better, over resumptions too", async () => {
    // From step 5 on the learning rate ruins the model.
    const ruined = { train: { steps: 12 }, stages: [{ patchSize: 1 }], eval: { everySteps: 1, sequences: 8 } };
    const with2 = { ...ruined, optimizer: { lr: 3e-2 }, schedule: { type: "constant", warmupSteps: 12 } };
    const config = madeConfig(path(), { ...with2, checkpoint: { everySteps: 2, keep: 1, keepBest: true } });
    await runTo(config, { until: 7 });
    await runTo(config, { resume: true });
    const lines = await readMetrics(path("run/metrics.jsonl"));
    const best = lines.reduce((a, b) => (b.valLoss! < a.valLoss! ? b : a)).step;
    expect(pointer("best")).toBe(`${name(best)}\n`);
    expect(kept()).toEqual([...new Set([best, 12])].sort((a, b) => a - b).map(name));
    // A run that keeps it no longer has no such pointer.
    await runTo(madeConfig(path(), { ...with2, checkpoint: { everySteps: 2, keep: 1 } }), { resume: true });
    expect(existsSync(path("run/best"))).toBe(false);
  });

  it("one after so many minutes", async () => {
    await runTo(every(100, 20, { everyMinutes: 1e-6 }), { until: 4 });
    expect(kept()).toEqual([1, 2, 3, 4].map(name));
    expect(() => every(100, 1, { everyMinutes: 0 })).toThrow(ConfigError);
  });

  it("none of a step whose line is not in the metrics", async () => {
    const append = jest.spyOn(RunMetrics.prototype, "append");
    const trainer = await Trainer.open(every(2, 2));
    const run = (async () => {
      for await (const { step } of trainer.run()) if (step === 3) append.mockRejectedValueOnce(new Error("no space"));
    })();
    await expect(run).rejects.toThrow("no space");
    await trainer.close();
    append.mockRestore();
    expect(kept()).toEqual([name(2)]);
    expect((await runTo(every(2, 2), { resume: true, until: 4 })).map(({ step }) => step)).toEqual([3, 4]);
  });

  it("its error, where a checkpoint cannot be written, and none of its parts", async () => {
    const trainer = await Trainer.open(every(2, 2));
    rmSync(path("run/checkpoints"), { recursive: true });
    writeFileSync(path("run/checkpoints"), "a file");
    const steps: number[] = [];
    const run = (async () => {
      for await (const { step } of trainer.run()) steps.push(step);
    })();
    await expect(run).rejects.toMatchObject({ code: "ENOTDIR", path: expect.stringContaining("run/checkpoints/") });
    await trainer.close();
    // The error is heard of at the step after, or where the next checkpoint is due.
    expect(steps.length).toBeLessThanOrEqual(4);
  });
});
