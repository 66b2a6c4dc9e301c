/** What a caller steers a run by: its own learning rates, callbacks, a signal, an early end. */
import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { learningRate, type MetricsLine, Trainer, type TrainerOptions } from "../../lib/index.js";
import { Llama } from "../../lib/nn/llama.js";
import { computed, madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(() => writeMadeData(path()));
afterEach(() => void jest.restoreAllMocks());
const config = (out: string) => madeConfig(path(), { out: path(out) });

describe("learningRate", () => {
  it("is the schedule's where it returns that, and else its own", async () => {
    const seen: Parameters<NonNullable<TrainerOptions["learningRate"]>>[0][] = [];
    const scheduled = await runTo(config("scheduled"));
    const same = await runTo(config("same"), {
      learningRate: (at) => {
        seen.push(at);
        return at.scheduled;
      },
    });
    expect(computed(same)).toEqual(computed(scheduled));
    expect(seen).toHaveLength(12);
    expect(seen[7]).toMatchObject({ step: 7, totalSteps: 12, stageStep: 1, tokens: 7 * 256, stage: { index: 1 } });
    const halved = await runTo(config("halved"), { learningRate: ({ scheduled: rate }) => rate / 2 });
    expect(halved.map(({ lr }) => lr)).toEqual(scheduled.map(({ lr }) => lr / 2));
    expect(halved[11]!.loss).not.toBe(scheduled[11]!.loss);
  });

  it.each([Number.NaN, -1, "fast"])("is refused if it is %p", async (rate) => {
    const run = runTo(config("wrong"), { learningRate: () => rate as number });
    await expect(run).rejects.toThrow(
      /^Trainer\.run: learningRate\(at\): expected a number of at least 0 but received /,
    );
  });

  it("of a schedule has the config's defaults", () => {
    const whole = { type: "cosine", warmupSteps: 100, minLrRatio: 0, decayFraction: 0.1 } as const;
    expect(learningRate({}, 1, 150, 300)).toBe(learningRate(whole, 1, 150, 300));
    expect(learningRate({ warmupSteps: 0 }, 1, 0, 300)).toBe(1);
  });
});

it("callbacks tell of stages, steps, evaluations and checkpoints", async () => {
  const told: string[] = [];
  const lines: MetricsLine[] = [];
  const changed = madeConfig(path(), { out: path("told"), checkpoint: { everySteps: 5 } });
  await runTo(changed, {
    onStage: ({ patchSize }) => told.push(`stage K ${patchSize}`),
    onEvaluation: ({ step, valLoss }) => told.push(`evaluation ${step} ${valLoss > 0}`),
    onStep: (line) => lines.push(line),
    onCheckpoint: ({ step, path: folder }) => told.push(`checkpoint ${step} ${existsSync(folder)}`),
  });
  expect(lines.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
  expect(told.filter((text) => !text.startsWith("checkpoint"))).toEqual([
    "stage K 4",
    ...["evaluation 4 true", "evaluation 6 true"],
    "stage K 1",
    ...["evaluation 8 true", "evaluation 12 true"],
  ]);
  // Those are written while training goes on; 6 is the end of a stage.
  expect(told.filter((text) => text.startsWith("checkpoint"))).toEqual(
    [5, 6, 10, 12].map((step) => `checkpoint ${step} true`),
  );
});

describe("a signal", () => {
  it("ends training after a step, with a checkpoint, by its reason", async () => {
    const abort = new AbortController();
    const onStep = ({ step }: MetricsLine) => step === 4 && abort.abort(new Error("enough"));
    await using trainer = await Trainer.open(config("stopped"), { signal: abort.signal, onStep });
    expect(trainer.latestCheckpoint).toBeNull();
    const steps: number[] = [];
    const run = async () => {
      for await (const { step } of trainer.run()) steps.push(step);
    };
    await expect(run()).rejects.toThrow("enough");
    expect(steps).toEqual([1, 2, 3, 4]);
    expect(trainer.latestCheckpoint).toBe(path("stopped/checkpoints/step-00000004"));
    await expect(run()).rejects.toThrow("enough");
    expect(trainer.step).toBe(4);
  });

  it("that comes with the last step ends nothing", async () => {
    const abort = new AbortController();
    const onStep = ({ step }: MetricsLine) => step === 12 && abort.abort();
    await expect(runTo(config("whole"), { signal: abort.signal, onStep })).resolves.toHaveLength(12);
  });
});

describe("finish", () => {
  it("writes model and report after an early end; training may go on to the same bits", async () => {
    await using trainer = await Trainer.open(config("early"));
    const lines: MetricsLine[] = [];
    for await (const line of trainer.run()) {
      lines.push(line);
      if (line.step === 5) {
        const busy = "Trainer.finish: this: expected a trainer whose run has ended but received one that is training";
        await expect(trainer.finish()).rejects.toThrow(busy);
        break;
      }
    }
    expect(existsSync(path("early/model"))).toBe(false);
    await trainer.finish();
    expect(existsSync(path("early/report.html"))).toBe(true);
    using model = await Llama.load(path("early/model"), { device: "cpu", precision: "fp32" });
    expect(model.config).toEqual(trainer.model.config);
    for await (const line of trainer.run()) lines.push(line);
    expect(computed(lines)).toEqual(computed(await runTo(config("whole"))));
  });

  it("and writeReport are refused before the first step", async () => {
    await using trainer = await Trainer.open(config("unbegun"));
    const message = "this: expected a trainer that has trained a step but received one at step 0";
    await expect(trainer.finish()).rejects.toThrow(`Trainer.finish: ${message}`);
    await expect(trainer.writeReport()).rejects.toThrow(`Trainer.writeReport: ${message}`);
    expect(existsSync(path("unbegun/model"))).toBe(false);
  });

  it("of a closed trainer is refused", async () => {
    const trainer = await Trainer.open(config("closed"));
    await trainer.close();
    await expect(trainer.finish()).rejects.toThrow(
      "Trainer.finish: this: expected an open trainer but received a closed one",
    );
  });
});

it("what a trainer hands out is frozen", async () => {
  await using trainer = await Trainer.open(config("frozen"));
  const { value: line } = await trainer.run().next();
  for (const part of [
    trainer.config,
    trainer.stages,
    trainer.stages[0]!.optimizer,
    trainer.progress,
    trainer.model.config,
    line,
  ]) {
    expect(Object.isFrozen(part)).toBe(true);
  }
});
