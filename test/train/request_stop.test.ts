/** `Trainer.requestStop`: the run ends after a step, saved, and goes on where it ended. */
import { readdirSync, readFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import type { MetricsLine } from "../../lib/report/metrics.js";
import { Trainer } from "../../lib/train/trainer.js";
import { computed, madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(() => writeMadeData(path()));
const config = (out: string) => madeConfig(path(), { out: path(out) });

describe("requestStop", () => {
  it("ends the loop after the line at which it is called, with a checkpoint, and a later run goes on", async () => {
    await using trainer = await Trainer.open(config("stopped"));
    const lines: MetricsLine[] = [];
    for await (const line of trainer.run()) {
      lines.push(line);
      if (line.step === 4) trainer.requestStop();
    }
    expect(trainer.step).toBe(4);
    expect(readFileSync(path("stopped/latest"), "utf8")).toBe("step-00000004\n");
    for await (const line of trainer.run()) lines.push(line);
    expect(computed(lines)).toEqual(computed(await runTo(config("whole"))));
  });

  it("before the first step trains none, and leaves no checkpoint", async () => {
    await using trainer = await Trainer.open(config("none"));
    trainer.requestStop();
    for await (const _ of trainer.run()) throw new Error("a step was trained");
    expect(trainer.step).toBe(0);
    expect(trainer.latestCheckpoint).toBeNull();
    expect(readdirSync(path("none/checkpoints"))).toEqual([]);
  });
});
