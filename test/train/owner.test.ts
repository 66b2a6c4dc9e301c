/** A run's folder has one owner. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { compare } from "../../lib/compare/compare.js";
import { ConfigError } from "../../lib/errors.js";
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

  it.each([
    ["a model's", '{"model_type": "llama", "vocab_size": 96}'],
    ["not a run's", "{}"],
    ["not a run's", "[]"],
    ["not a run's", "null"],
  ])("is not taken for a run to resume if its config.json is %s: %s", async (kind, content) => {
    mkdirSync(path("run"));
    writeFileSync(path("run/config.json"), content);
    await expect(Trainer.open(madeConfig(path()), { resume: true })).rejects.toThrow(
      `--resume: ${path("run")} holds no run (${path("run/config.json")} is ${kind})`,
    );
    expect(readdirSync(path("run"))).toEqual(["config.json"]);
  });

  it.each([
    ["a model's configuration", "config.json", '{"model_type": "llama"}'],
    ["something that is no JSON", "config.json", "hidden"],
    ["weights", "model-00001-of-00002.safetensors", ""],
    ["a dataset", "dataset.json", "{}"],
    ["a folder of somebody's", "model/notes.txt", "mine"],
    ["a file of that name", "checkpoints", "mine"],
  ])("is not one that holds %s", async (_, name, content) => {
    mkdirSync(path("run/model"), { recursive: true });
    writeFileSync(path(`run/${name}`), content);
    const error: unknown = await runTo(madeConfig(path())).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toBe(
      `${path("run")}: expected a new folder, or one without files that a run would replace, ` +
        `but received one that holds ${name.split("/")[0]}`,
    );
    expect(readFileSync(path(`run/${name}`), "utf8")).toBe(content);
  });

  it("may hold other files, and what is left of a run that failed before its first step", async () => {
    mkdirSync(path("run/checkpoints"), { recursive: true });
    for (const name of ["job.log", ".gitkeep", "data.json"]) writeFileSync(path(`run/${name}`), "");
    writeFileSync(path("run/config.json"), JSON.stringify(madeConfig(path())));
    expect(await runTo(madeConfig(path()), { until: 1 })).toHaveLength(1);
    expect(readdirSync(path("run"))).toEqual(expect.arrayContaining(["job.log", ".gitkeep"]));
  });

  it.each([
    ["a file", () => writeFileSync(path("run"), ""), "run", "a file or a device"],
    ["below a file", () => writeFileSync(path("run"), ""), "run/below", "a file"],
    ["a link to nothing", () => symlinkSync("nowhere", path("run")), "run", "a link to something that does not exist"],
  ])("is not %s", async (_, make, out, received) => {
    make();
    const says = `${path(out)}: expected a folder, or the name of a new one, but received ${received}`;
    for (const begin of [
      () => runTo(madeConfig(path(), { out: path(out) })),
      () => compare(madeConfig(path(), { out: path(out) })),
    ]) {
      const error: unknown = await begin().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ConfigError);
      expect((error as Error).message).toBe(says);
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
