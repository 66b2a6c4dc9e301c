/** What signals, lost streams and a second process do to a command that trains. */
import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "@jest/globals";
import { readMetrics } from "../../lib/report/metrics.js";
import { builtCommand, type Finished } from "../support/built.js";
import { writeMadeConfig } from "../support/made_run.js";

const nextpatch = builtCommand();
const { path } = nextpatch;

beforeAll(() => writeMadeConfig(path(".")));

/** Starts a run that takes hours. */
function startLong(out: string, ...more: string[]) {
  const steps = [
    "--set",
    "train.steps=1000000",
    "--set",
    "eval.everySteps=1000000",
    "--set",
    "checkpoint.everySteps=1000000",
  ];
  return nextpatch.start("train", "config.json", "--set", `out=${out}`, ...steps, ...more);
}

/** Waits until a process has made a file that is not empty. */
async function made(child: ChildProcess, name: string): Promise<void> {
  while (!existsSync(path(name)) || statSync(path(name)).size === 0) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`ended without ${name}`);
    await setTimeout(10);
  }
}

const nameOf = (step: number): string => `step-${String(step).padStart(8, "0")}`;
const latest = (out: string): string => readFileSync(path(`${out}/latest`), "utf8").trim();

/** The step at which a run says that it was interrupted, all of which is saved. */
async function interrupted(out: string, { code, stdout, stderr }: Finished): Promise<number> {
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  const step = Number(/interrupted at step (\d+) of 1000000; go on with --resume\n$/.exec(stderr)?.[1]);
  expect(latest(out)).toBe(nameOf(step));
  expect((await readMetrics(path(`${out}/metrics.jsonl`))).at(-1)?.step).toBe(step);
  return step;
}

describe("a signal", () => {
  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s ends training with a checkpoint, sent once or twice",
    async (signal) => {
      const { process: child, finished } = startLong(signal);
      await made(child, `${signal}/metrics.jsonl`);
      child.kill(signal);
      await setTimeout(30);
      child.kill(signal);
      const step = await interrupted(signal, await finished);
      const next = startLong(signal, "--resume");
      const size = statSync(path(`${signal}/metrics.jsonl`)).size;
      while (statSync(path(`${signal}/metrics.jsonl`)).size <= size) await setTimeout(10);
      next.process.kill(signal);
      const resumed = await next.finished;
      expect(resumed.stderr).toContain(`going on from ${signal}/checkpoints/${nameOf(step)}: step ${step} of`);
      expect(await interrupted(signal, resumed)).toBeGreaterThan(step);
    },
  );

  it("SIGHUP does not end what was started by nohup", async () => {
    const { stderr } = await nextpatch.shell(
      "nohup node dist/cli/main.js train config.json --set out=hup --set train.steps=100000 & pid=$!; " +
        "until [ -s hup/metrics.jsonl ]; do sleep 0.02; done; kill -HUP $pid; sleep 0.3; kill -TERM $pid; wait $pid",
    );
    expect(stderr).not.toContain("SIGHUP");
    expect(stderr).toContain("SIGTERM: finishing the step");
  });

  it("SIGUSR1 and SIGUSR2 save, and training goes on without a debugger", async () => {
    const { process: child, finished } = startLong("usr");
    await made(child, "usr/metrics.jsonl");
    let before = "";
    for (const signal of ["SIGUSR1", "SIGUSR2", "SIGUSR1"] as const) {
      child.kill(signal);
      while (!existsSync(path("usr/latest")) || latest("usr") === before) await setTimeout(10);
      before = latest("usr");
    }
    expect(readFileSync(`/proc/${child.pid!}/net/tcp`, "utf8")).not.toMatch(/^ *\d+: 0100007F:240D .* 0A /m); // 9229
    child.kill("SIGTERM");
    const ended = await finished;
    expect(await interrupted("usr", ended)).toBeGreaterThanOrEqual(Number(before.slice(5)));
    expect(ended.stderr.match(/SIGUSR\d: saving a checkpoint after this step/g)).toHaveLength(3);
  });

  it("a debugger that Node opens late, for a SIGUSR1 while it started, is closed, and the signal heard", async () => {
    const program = `
      const { holdUserSignals, seenUserSignals } = require("./dist/cli/user_signals.js");
      const inspector = require("node:inspector");
      holdUserSignals().then(async () => {
        inspector.open(0);
        const heard = new Promise((resolve) => process.once("SIGUSR1", resolve));
        setTimeout(() => process.exit(1), 20_000);
        await heard;
        process.stdout.write(JSON.stringify([inspector.url() ?? null, ...seenUserSignals]));
        process.exit();
      });`;
    writeFileSync(path("late.cjs"), program);
    expect(await nextpatch.shell("node late.cjs")).toMatchObject({ code: 0, stdout: '[null,"SIGUSR1"]' });
  });

  it("SIGUSR2 ends training where the config says so", async () => {
    const { process: child, finished } = startLong("end", "--set", "checkpoint.onSignal=end");
    await made(child, "end/metrics.jsonl");
    child.kill("SIGUSR2");
    await interrupted("end", await finished);
  });
});

describe("a second process", () => {
  it("is refused at once, and takes over at once from one that was killed", async () => {
    const { process: child, finished } = startLong("owned");
    await made(child, "owned/metrics.jsonl");
    for (const flags of [[], ["--resume"]]) {
      const second = await startLong("owned", ...flags).finished;
      expect(second).toMatchObject({ code: 2, stdout: "" });
      expect(second.stderr).toMatch(
        new RegExp(
          `^nextpatch: owned: expected a folder that nothing else .* a run is writing \\(process ${child.pid}, `,
        ),
      );
    }
    child.kill("SIGKILL");
    await finished;
    const third = startLong("owned", "--resume");
    const owned = (): boolean => {
      const lock = path("owned/run.lock");
      return existsSync(lock) && readFileSync(lock, "utf8").includes(`"pid":${third.process.pid},`);
    };
    while (!owned() && third.process.exitCode === null) await setTimeout(10);
    expect(owned()).toBe(true);
    third.process.kill("SIGKILL");
    expect((await third.finished).stderr).not.toContain("nextpatch:");
  });
});

describe("a stream", () => {
  it("for messages that is full, or whose reader has ended, does not end training", async () => {
    const { stdout, stderr } = await nextpatch.shell(
      "nextpatch train config.json --set out=full --json 2>/dev/full; echo $?; " +
        "{ nextpatch train config.json --set out=gone --json; echo $? >gone.code; } 2>&1 >gone.json | true; cat gone.code",
    );
    expect(stdout).toMatch(/^\{"run":"full".*\}\n0\n0\n$/);
    expect(stderr).toBe("");
    expect(JSON.parse(readFileSync(path("gone.json"), "utf8"))).toMatchObject({ run: "gone", steps: 12 });
  });

  it("for the result that is full, or whose reader has ended, is a failure", async () => {
    await nextpatch.shell("nextpatch train config.json --set out=done");
    const commands = [
      "train config.json --resume --set out=done",
      "eval --model done/model --data val.bin --json",
      "--version",
    ];
    const lines = commands.map((command) => `nextpatch ${command} >/dev/full 2>>errors; echo $?`);
    const { stdout } = await nextpatch.shell(
      // The last writes a part of its result: a file may have 1024 bytes there.
      `${lines.join("; ")}; (ulimit -f 1; nextpatch prepare --help >short) 2>&1 | cat >>errors; echo \${PIPESTATUS[0]}`,
    );
    expect(stdout).toBe("1\n".repeat(commands.length + 1));
    const failures = readFileSync(path("errors"), "utf8").match(/^nextpatch: the result could not be .*$/gm)!;
    const full =
      "nextpatch: the result could not be written to standard output: ENOSPC: no space left on device, write";
    expect(failures.slice(0, commands.length)).toEqual(commands.map(() => full));
    expect(failures.at(-1)).toMatch(/EFBIG: file too large, write$/);
    expect(statSync(path("short")).size).toBe(1024);
  });
});
