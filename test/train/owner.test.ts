/** A run's folder has one owner. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { compare } from "../../lib/compare/compare.js";
import { Trainer } from "../../lib/train/trainer.js";
import { madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(() => writeMadeData(path()));

const lock = (): string => path("run/run.lock");
const taken = (folder: string, writer: string) =>
  new RegExp(
    `^${path(folder)}: expected a folder that nothing else is writing but received one that ${writer} is writing ` +
      `\\(process ${process.pid}, since `,
  );

describe("the folder of a run", () => {
  it("is refused to a second trainer until the first is closed", async () => {
    const trainer = await Trainer.open(madeConfig(path()));
    for (const resume of [false, true]) {
      const second = Trainer.open(madeConfig(path()), { resume });
      await expect(second).rejects.toThrow(taken("run", "a run"));
    }
    await trainer.close();
    expect(existsSync(lock())).toBe(false);
    await runTo(madeConfig(path()), { until: 2 });
    await runTo(madeConfig(path()), { resume: true, until: 3 });
  });

  it("is taken over from a dead process", async () => {
    const trainer = await Trainer.open(madeConfig(path()));
    const dead = JSON.stringify({ ...JSON.parse(readFileSync(lock(), "utf8")), started: "12" });
    await trainer.close();
    writeFileSync(lock(), dead);
    expect(await runTo(madeConfig(path()), { until: 1 })).toHaveLength(1);
  });

  it("gets nothing more from a trainer that has lost it", async () => {
    const trainer = await Trainer.open(madeConfig(path()));
    const steps = trainer.run();
    await steps.next();
    rmSync(lock());
    await expect(steps.return()).rejects.toThrow(
      `${path("run")}: expected to be the only process that writes there but received a run.lock that is gone or another's`,
    );
    expect(existsSync(path("run/latest"))).toBe(false);
    await trainer.close();
  });

  it("is not left behind by a trainer that could not be opened", async () => {
    const config = madeConfig(path(), { data: { train: path("none.bin") }, eval: undefined });
    await expect(Trainer.open(config)).rejects.toThrow(`${path("none.bin")}: expected a token shard but received`);
    expect(existsSync(path("run"))).toBe(false);
    await expect(Trainer.open(madeConfig(path()), { resume: true })).rejects.toThrow("run holds no run");
    expect(existsSync(path("run"))).toBe(false);
  });

  it("is told from a file, and from a path inside one", async () => {
    writeFileSync(path("file"), "");
    for (const [out, received] of [
      ["file", "a file"],
      ["file/run", "a path inside a file"],
    ] as const) {
      const message = `${path(out)}: expected a folder for a run but received ${received}`;
      const opened = Trainer.open(madeConfig(path(), { out: path(out) }));
      await expect(opened).rejects.toMatchObject({ name: "ConfigError", message });
    }
  });

  it("of a comparison is one comparison's", async () => {
    const config = madeConfig(path());
    const [first, second] = [compare(config), compare(config)];
    const failed = await Promise.any(
      [first, second].map((each) =>
        each.then(
          () => Promise.reject(),
          (error) => error,
        ),
      ),
    );
    expect((failed as Error).message).toMatch(taken("run", "a comparison"));
    await Promise.allSettled([first, second]);
    expect(existsSync(path("run/comparison.json"))).toBe(true);
    expect(existsSync(path("run/compare.lock"))).toBe(false);
  });
});
