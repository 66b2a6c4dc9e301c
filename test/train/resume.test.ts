import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { ConfigError } from "../../lib/errors.js";
import { readMetrics } from "../../lib/report/metrics.js";
import { Trainer } from "../../lib/train/trainer.js";
import { computed, madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeMadeData(path()));

const bytes = (file: string) => readFileSync(path(file));

/** Expects the metrics, the model and the trainer's state of `out` to be those of the whole run in `run`. */
async function expectSame(out: string): Promise<void> {
  expect(computed(await readMetrics(path(`${out}/metrics.jsonl`)))).toEqual(
    computed(await readMetrics(path("run/metrics.jsonl"))),
  );
  const last = "checkpoints/step-00000012";
  const kept = readdirSync(path(`run/${last}/trainer`)).filter((name) => name !== "state.json");
  expect(kept.length).toBeGreaterThanOrEqual(3);
  const tensors = kept.map((name) => `${last}/trainer/${name}`);
  for (const file of ["model/model.safetensors", `${last}/model.safetensors`, ...tensors]) {
    expect([file, bytes(`${out}/${file}`).equals(bytes(`run/${file}`))]).toEqual([file, true]);
  }
  const state = (run: string) => JSON.parse(bytes(`${run}/${last}/trainer/state.json`).toString()) as { data: unknown };
  expect(state(out).data).toEqual(state("run").data);
}

const muon = { type: "muon", lr: 3e-3, muon: { lr: 0.02 } };

describe("a run that is broken off and resumed", () => {
  // Stage 1 begins after step 6.
  const everyStep = Array.from({ length: 11 }, (_, index) => index + 1);
  it.each([
    { precision: "fp32", keepOptimizer: false, breaks: everyStep },
    { precision: "bf16", keepOptimizer: false, breaks: [3, 6, 7] },
    { precision: "fp32", keepOptimizer: true, breaks: [5, 6, 7] },
    { precision: "bf16", keepOptimizer: true, optimizer: muon, breaks: [3, 7] },
  ])(
    "gives the bits of the whole one: $precision, kept: $keepOptimizer, $optimizer.type, at $breaks",
    async ({ breaks, ...keys }) => {
      await runTo(madeConfig(path(), keys));
      for (const step of breaks) {
        const config = madeConfig(path(), { ...keys, out: path("broken") });
        await runTo(config, { until: step });
        const rest = await runTo(config, { resume: true });
        expect(rest[0]!.step).toBe(step + 1);
        await expectSame("broken");
        rmSync(path("broken"), { recursive: true });
      }
    },
  );

  it("may be broken off at every step, and run over the end of an epoch", async () => {
    const keys = { data: { train: path("val.bin"), val: path("val.bin") } }; // 128 tokens: an epoch every half step
    await runTo(madeConfig(path(), keys));
    const config = madeConfig(path(), { ...keys, out: path("broken") });
    await runTo(config, { until: 1 });
    for (let step = 2; step <= 12; step++) await runTo(config, { resume: true, until: step });
    await runTo(config, { resume: true });
    await expectSame("broken");
  });

  it("goes back to the last checkpoint where the process was killed", async () => {
    const keys = { checkpoint: { everySteps: 5, keep: 2 } };
    await runTo(madeConfig(path(), keys));
    const config = madeConfig(path(), { ...keys, out: path("broken") });
    await runTo(config, { until: 8 });
    // A killed process has no checkpoint of step 8, but its metrics, the last line perhaps cut.
    rmSync(path("broken/checkpoints/step-00000008"), { recursive: true });
    writeFileSync(path("broken/latest"), "step-00000006\n");
    writeFileSync(path("broken/metrics.jsonl"), bytes("broken/metrics.jsonl").subarray(0, -9));
    const messages: string[] = [];
    const rest = await runTo(config, { resume: true, log: (message) => messages.push(message) });
    expect(rest[0]!.step).toBe(7);
    expect(messages.join()).toContain("going on from");
    await expectSame("broken");
  });

  it("refuses a config that computes something else, and takes one that does not", async () => {
    await runTo(madeConfig(path()), { until: 2 });
    const other = madeConfig(path(), { optimizer: { lr: 1e-3 }, seed: 3 });
    await expect(runTo(other, { resume: true })).rejects.toThrow(
      /differs from the run's in optimizer\.lr, seed, init\.seed;/,
    );
    await expect(runTo(other, { resume: true })).rejects.toThrow(ConfigError);
    const withMuon = runTo(madeConfig(path(), { optimizer: muon }), { resume: true });
    await expect(withMuon).rejects.toThrow(/differs from the run's in optimizer\.type, optimizer\.muon\.lr, /);
    await expect(runTo(madeConfig(path()))).rejects.toThrow(/already holds a run/);
    await expect(runTo(madeConfig(path(), { out: path("none") }), { resume: true })).rejects.toThrow(/holds no run/);
    const free = {
      name: "renamed",
      checkpoint: { everySteps: 3, keep: 1 },
      eval: { everySteps: 2, sequences: 4 },
      device: "auto",
    };
    const lines = await runTo(madeConfig(path(), free), { resume: true, until: 3 });
    expect(lines).toHaveLength(1);
    renameSync(path("run"), path("moved"));
    expect(await runTo(madeConfig(path(), { out: path("moved") }), { resume: true, until: 4 })).toHaveLength(1);
    writeFileSync(path("moved/config.json"), "{");
    const damaged = runTo(madeConfig(path(), { out: path("moved") }), { resume: true });
    await expect(damaged).rejects.toThrow(/moved\/config\.json: cannot be read: /);
  });

  it("goes on from a run of a version without optimizer.type", async () => {
    await runTo(madeConfig(path()), { until: 2 });
    const written = JSON.parse(bytes("run/config.json").toString()) as { optimizer: { type?: string } };
    delete written.optimizer.type;
    writeFileSync(path("run/config.json"), JSON.stringify(written));
    expect(await runTo(madeConfig(path()), { resume: true, until: 3 })).toHaveLength(1);
  });

  it("has nothing left to do after the end, and says the same", async () => {
    await runTo(madeConfig(path()));
    const before = bytes("run/model/model.safetensors");
    expect(await runTo(madeConfig(path()), { resume: true })).toEqual([]);
    expect(bytes("run/model/model.safetensors").equals(before)).toBe(true);
    expect(await readMetrics(path("run/metrics.jsonl"))).toHaveLength(12);
    // Killed just before the model was in its place, it has that left to do.
    rmSync(path("run/model"), { recursive: true });
    expect(await runTo(madeConfig(path()), { resume: true })).toEqual([]);
    expect(bytes("run/model/model.safetensors").equals(before)).toBe(true);
  });

  it("has everything where it is broken off at its last step", async () => {
    const lines = await runTo(madeConfig(path()), { until: 12 });
    expect(lines).toHaveLength(12);
    const last = bytes("run/checkpoints/step-00000012/model.safetensors");
    expect(bytes("run/model/model.safetensors").equals(last)).toBe(true);
    expect(existsSync(path("run/report.html"))).toBe(true);
  });

  it("knows what was trained before", async () => {
    const config = madeConfig(path());
    await runTo(config, { until: 3 });
    await using trainer = await Trainer.open(config, { resume: true });
    const { step, tokens, positions, flops, seconds, time, energy } = trainer.progress;
    const last = (await readMetrics(path("run/metrics.jsonl"))).at(-1)!;
    expect({ step, tokens, positions, flops, seconds, time, energy }).toEqual({
      step: 3,
      tokens: 768,
      positions: 192,
      flops: last.flops,
      seconds: last.seconds,
      time: last.time,
      energy: null,
    });
    await trainer.close(); // `await using` closes it again, which does no harm
  });
});
