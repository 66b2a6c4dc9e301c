/** `Trainer.close` at any moment: what is being trained is saved, and who waits for it hears a typed error. */
import { readdirSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { Trainer } from "../../lib/train/trainer.js";
import { computed, madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(() => writeMadeData(path()));
const config = (out: string) => madeConfig(path(), { out: path(out) });
const closed = "Trainer.run: this: expected an open trainer but received a closed one";

/** The names of a run's checkpoints. */
const checkpoints = (out: string) => readdirSync(path(`${out}/checkpoints`)).filter((name) => name.startsWith("step-"));

describe("close while a step is trained", () => {
  it("ends with the step saved, from which the run goes on to the same losses", async () => {
    const alone = await runTo(config("alone"));
    for (const [out, wait] of [
      ["at once", null],
      ["in the middle of a step", 12],
    ] as const) {
      const trainer = await Trainer.open(config(out));
      const steps = trainer.run();
      await steps.next();
      const next = steps.next().then(
        () => "a line",
        (error: Error) => `${error.name}: ${error.message}`,
      );
      if (wait !== null) await setTimeout(wait);
      const together = [trainer.close(), trainer.close(), trainer[Symbol.asyncDispose]()];
      await Promise.all(together);
      // The line of the step may have been there first.
      expect(["a line", `TypeError: ${closed}`]).toContain(await next);
      await expect(trainer.run().next()).rejects.toThrow(closed);
      expect(checkpoints(out)).toHaveLength(1);
      const { step } = trainer;
      const rest = await runTo(config(out), { resume: true });
      expect(rest[0]!.step).toBe(step + 1);
      expect(computed(rest)).toEqual(computed(alone.slice(step)));
    }
  });

  it("before the first step, and twice, leaves no checkpoint", async () => {
    const trainer = await Trainer.open(config("none"));
    const first = trainer.run();
    await trainer.close();
    await trainer.close();
    await expect(first.next()).rejects.toThrow(closed);
    expect(checkpoints("none")).toEqual([]);
  });

  it("with the first step on its way", async () => {
    const trainer = await Trainer.open(config("first"));
    const first = trainer
      .run()
      .next()
      .catch((error: Error) => error.message);
    await trainer.close();
    expect([closed, expect.objectContaining({ value: expect.objectContaining({ step: 1 }) })]).toContainEqual(
      await first,
    );
    expect((await runTo(config("first"), { resume: true })).at(-1)!.step).toBe(12);
  });
});
