/** A run's metrics over crashes: each step has its line once, and damage is told and left in place. */
import { appendFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { DataError } from "../../lib/errors.js";
import { readMetrics } from "../../lib/report/metrics.js";
import { Trainer } from "../../lib/train/trainer.js";
import { madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { sign } from "../support/manifest.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const metrics = (): string => path("run/metrics.jsonl");
const steps = async () => (await readMetrics(metrics())).map(({ step }) => step);
const upTo = (end: number) => Array.from({ length: end }, (_, index) => index + 1);
const report = (): string => readFileSync(path("run/report.html"), "utf8");

/** A run with a checkpoint at step 4 and lines up to step 6, as a crash leaves it. */
async function crashed(): Promise<void> {
  await runTo(madeConfig(path()), { until: 4 });
  const lines = readFileSync(metrics(), "utf8").trimEnd().split("\n");
  for (const step of [5, 6]) appendFileSync(metrics(), `${JSON.stringify({ ...JSON.parse(lines[3]!), step })}\n`);
}

async function resume(until = 8): Promise<string[]> {
  const logged: string[] = [];
  await runTo(madeConfig(path()), { resume: true, until, log: (message) => logged.push(message) });
  return logged.filter((message) => message.includes("metrics.jsonl"));
}

beforeEach(async () => {
  await writeMadeData(path());
  await crashed();
});

describe("the metrics of a resumed run", () => {
  it.each([
    ["nothing", ""],
    ["half a line", '{"step": 7, "sta'],
    ["zeros", "\0".repeat(5000)],
    ["a line of something else", `${"x".repeat(300)}\n`],
  ])("have each step once where a crash left %s behind the checkpoint", async (_, left) => {
    appendFileSync(metrics(), left);
    expect(await resume()).toEqual([]);
    expect(await steps()).toEqual(upTo(8));
  });

  it("may be damaged above the checkpoint: that is told, reported and left in place", async () => {
    const text = readFileSync(metrics(), "utf8");
    const at = text.indexOf("\n") + 1;
    writeFileSync(metrics(), `${text.slice(0, at)}#${text.slice(at + 1)}`);
    const damage = `${metrics()}: byte ${at}: expected the line of step 2 but received "#`;
    expect(await resume()).toEqual([expect.stringContaining(damage)]);
    expect(readFileSync(metrics(), "utf8").slice(0, at + 1)).toBe(`${text.slice(0, at)}#`);
    const damaged = /Damaged metrics.*run\/metrics\.jsonl: byte \d+: expected the line of step 2 but received/;
    expect(report()).toMatch(damaged);
    expect(await resume(12)).toHaveLength(1);
    expect(report()).toMatch(damaged);
    expect(readFileSync(metrics(), "utf8").split("\n")).toHaveLength(13);
  });

  it("are refused if they end before the checkpoint, or elsewhere", async () => {
    const [size, whole] = [statSync(metrics()).size, readFileSync(metrics())];
    const place = JSON.parse(readFileSync(path("run/checkpoints/step-00000004/trainer/state.json"), "utf8")) as {
      metricsBytes: number;
    };
    const expected = `${metrics()}: expected the line of step 4 to end at byte ${place.metricsBytes}, as its checkpoint`;
    truncateSync(metrics(), place.metricsBytes - 1);
    const cut = resume();
    await expect(cut).rejects.toBeInstanceOf(DataError);
    await expect(cut).rejects.toThrow(`${expected} noted, but received ${place.metricsBytes - 1} bytes; restore the`);
    writeFileSync(metrics(), whole.subarray(10));
    await expect(resume()).rejects.toThrow(expected);
    const lines = whole.toString().split("\n");
    writeFileSync(metrics(), [...lines.slice(0, 3), lines[4]].join("\n").padEnd(size, "\n"));
    await expect(resume()).rejects.toThrow(expected);
    writeFileSync(metrics(), whole);
    await resume();
    expect(await steps()).toEqual(upTo(8));
  });

  it("may be gone: that is told", async () => {
    rmSync(metrics());
    const gone = `${metrics()}: expected the lines of 4 steps but received no file`;
    expect(await resume()).toEqual([gone]);
    expect(await steps()).toEqual([5, 6, 7, 8]);
    expect(report()).toContain(gone);
    await resume(9);
    expect(await steps()).toEqual([5, 6, 7, 8, 9]);
  });

  it("are found where the checkpoint does not say their length", async () => {
    const state = path("run/checkpoints/step-00000004/trainer/state.json");
    const { metricsBytes: _, ...before } = JSON.parse(readFileSync(state, "utf8"));
    writeFileSync(state, JSON.stringify(before));
    await sign(path("run/checkpoints/step-00000004"));
    expect(await resume()).toEqual([]);
    expect(await steps()).toEqual(upTo(8));
  });

  it("make the same report without their thinned copy, or with a damaged one", async () => {
    const shown = async () => {
      await using trainer = await Trainer.open(madeConfig(path()), { resume: true });
      await trainer.writeReport();
      return report();
    };
    const copy = path("run/metrics.thinned.json");
    const before = await shown();
    rmSync(copy);
    expect(await shown()).toBe(before);
    writeFileSync(copy, '{"every":1,"everyEvaluation":1,"lines":[{"step":1}]}');
    expect(await shown()).toBe(before);
  });
});
