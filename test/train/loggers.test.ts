import { describe, expect, it } from "@jest/globals";
import type { LoggedRun, Logger } from "../../lib/index.js";
import { Trainer } from "../../lib/train/trainer.js";
import { eventsIn } from "../support/event_reader.js";
import { madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

describe("a run's loggers", () => {
  it("hear of each step once, with TensorBoard's files, through a resumption", async () => {
    await writeMadeData(path());
    const config = madeConfig(path(), { logger: ["tensorboard"] });
    const heard: (string | number)[] = [];
    const begun: LoggedRun[] = [];
    const logger: Logger = {
      name: "mine",
      begin: (run) => {
        begun.push(run);
        heard.push(`from ${run.step}`);
      },
      step: ({ step }) => void heard.push(step),
      end: () => void heard.push("end"),
    };
    const before = await runTo(config, { loggers: [logger], until: 5 });
    const after = await runTo(config, { loggers: [logger], resume: true });
    expect(heard).toEqual(["from 0", 1, 2, 3, 4, 5, "end", "from 5", 6, 7, 8, 9, 10, 11, 12, "end"]);
    expect(begun[0]).toMatchObject({ name: "made", folder: config.out, config: { seed: 1 } });
    const scalars = eventsIn(config.out).filter(({ values }) => "loss/training" in values);
    const lines = [...before, ...after];
    expect(scalars.map(({ step }) => step)).toEqual(lines.map(({ step }) => step));
    expect(scalars.map(({ values }) => values["loss/training"])).toEqual(lines.map(({ loss }) => Math.fround(loss)));
    expect(scalars.filter(({ values }) => "loss/validation" in values).map(({ step }) => step)).toEqual([4, 6, 8, 12]);
  });

  it("are told nothing more once they have failed, and the run goes on", async () => {
    await writeMadeData(path());
    const messages: string[] = [];
    let calls = 0;
    const broken: Logger = {
      name: "broken",
      step: async () => {
        calls++;
        throw new Error("no network");
      },
    };
    const lines = await runTo(madeConfig(path()), { loggers: [broken], log: (message) => messages.push(message) });
    expect([lines.length, calls]).toEqual([12, 1]);
    expect(messages.filter((each) => each.includes("logger"))).toEqual([
      "logger broken: failed, and is told nothing more: no network",
    ]);
  });

  it.each<[unknown, string]>([
    [{}, "loggers: expected an array of loggers but received another object"],
    [[{ name: "a" }], "loggers[0].step: expected a function but received undefined"],
    [[{ name: 1, step: () => undefined }], "loggers[0].name: expected a string but received 1"],
    [[{ name: "a", step: () => undefined, end: 3 }], "loggers[0].end: expected a function but received 3"],
  ])("are refused unless they are ones: %j", async (loggers, problem) => {
    const opened = Trainer.open(madeConfig(path()), { loggers: loggers as Logger[] });
    await expect(opened).rejects.toThrow(`Trainer.open: ${problem}`);
  });
});
