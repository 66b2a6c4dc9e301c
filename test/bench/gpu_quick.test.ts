/** How bench/gpu.sh quick runs its steps: in which order, within which time, and that a kill loses nothing. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "@jest/globals";
import { Budget } from "../../bench/gpu/quick/budget.js";
import { parts, type QuickPlan } from "../../bench/gpu/quick/plan.js";
import { lastJson } from "../../bench/gpu/quick/read.js";
import { allSteps, type QuickResult, type QuickStep, resultFiles, writeResult } from "../../bench/gpu/quick/result.js";
import { runStep } from "../../bench/gpu/quick/run_step.js";
import { quickSteps } from "../../bench/gpu/quick/steps.js";
import { native } from "../../lib/native.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const simt = native.backends().some(({ name, available }) => name === "simt" && available);

describe("the steps", () => {
  const plans = quickSteps({ backend: "cuda", logs: "logs", python: "python3" });

  it("are the parts in their order, each with a name of its own", () => {
    const order = plans.map(({ part }) => parts.indexOf(part));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(new Set(order).size).toBe(parts.length);
    expect(new Set(plans.map(({ name }) => name)).size).toBe(plans.length);
  });

  it("begin with what is needed most", () => {
    expect(plans.slice(0, 7).map(({ name }) => name)).toEqual([
      "info",
      "gpu",
      "operations",
      "binding",
      "training",
      "llama-370m-1",
      "llama-370m-4",
    ]);
    expect(plans.at(-1)!.part).toBe("pytorch");
  });

  it("end within nine minutes, all limits together", () => {
    expect(plans.reduce((sum, { seconds }) => sum + seconds, 0)).toBeLessThanOrEqual(540);
  });

  it("run on cuda alone", () => {
    for (const { part, command } of plans) {
      if (part === "tests") expect(command.env).toMatchObject({ NEXTPATCH_TEST_BACKENDS: "cuda" });
    }
  });

  it.each(["cuda", "simt"] as const)("name tests that are there, on %s", (backend) => {
    const files = readdirSync("test", { recursive: true, encoding: "utf8" }).map((file) => `test/${file}`);
    const named = quickSteps({ backend, logs: "logs", python: "python3" }).flatMap(({ command }) =>
      command.args.filter((argument) => argument.startsWith("test/")),
    );
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !files.some((file) => file.startsWith(name)))).toEqual([]);
  });

  it("are the same parts on simt, where what needs a GPU says so", () => {
    const simulated = quickSteps({ backend: "simt", logs: "logs", python: "python3" });
    expect(new Set(simulated.map(({ part }) => part))).toEqual(new Set(parts));
    const missing = simulated.flatMap(({ name, missing }) => (missing?.() === "no GPU" ? name : []));
    expect(missing).toEqual([
      "gpu",
      "nsys",
      "occupancy",
      "ptx-streaming",
      "ptx-attention",
      "synccheck",
      "initcheck",
      "pytorch-1",
      "pytorch-4",
    ]);
  });
});

describe("Budget", () => {
  it("grants a step its limit and what earlier steps have left, until the budget ends", () => {
    let now = 0;
    const budget = new Budget(100, () => now);
    expect(budget.grant(30)).toBe(30);
    now = 10_000; // 20 seconds are left
    expect(budget.grant(30)).toBe(50);
    now = 60_000;
    expect(budget.grant(60)).toBe(40); // of the 100
    now = 80_000;
    expect(budget.grant(41)).toBeNull(); // less than half
    expect(budget.grant(40)).toBe(20);
  });
});

function plan(code: string, rest: Partial<QuickPlan> = {}): QuickPlan {
  const command = { program: process.execPath, args: ["-e", code] };
  return { part: "tests", name: "made", seconds: 20, command, ...rest };
}

/** Runs a step; `changes` are what was told of it while it ran. */
async function run(made: QuickPlan, { budget = 600, abortAfter }: { budget?: number; abortAfter?: number } = {}) {
  const changes: QuickStep[] = [];
  const ending = new AbortController();
  if (abortAfter !== undefined) setTimeout(() => ending.abort(), abortAfter);
  const step = await runStep(made, {
    budget: new Budget(budget),
    logs: path(),
    revision: "r",
    signal: ending.signal,
    onChange: (change) => changes.push(change),
  });
  return { step, changes };
}

describe("a step", () => {
  it("has its result, and its output in files", async () => {
    const { step } = await run(plan("console.log('a'); console.log('{\"x\": 1}')", { read: lastJson }));
    expect(step).toMatchObject({ phase: "tests", name: "made", outcome: "passed", result: { x: 1 }, limit: 20 });
    expect(step).not.toHaveProperty("reason");
    expect(readFileSync(path("made.out"), "utf8")).toBe('a\n{"x": 1}\n');
  });

  it("fails with the end of its output, and keeps what it has found", async () => {
    const code = "console.log('{\"x\": 1}'); console.error('why'); process.exit(3)";
    const { step } = await run(plan(code, { read: lastJson }));
    expect(step).toMatchObject({ outcome: "failed", reason: "exit code 3", result: { x: 1 } });
    expect(step.output).toContain("why");
  });

  it("fails without a result, or without its program", async () => {
    const { step } = await run(plan("", { read: lastJson }));
    expect(step).toMatchObject({ outcome: "failed", reason: "its output has no result" });
    const none = await run({ ...plan(""), command: { program: "no-such-program", args: [] } });
    expect(none.step).toMatchObject({ outcome: "failed", reason: "spawn no-such-program ENOENT" });
  });

  it("ends at its limit with every process that it has started", async () => {
    const forever = "setInterval(() => {}, 1000)";
    const code = `const { spawn } = require("node:child_process");
      const { pid } = spawn(process.execPath, ["-e", ${JSON.stringify(forever)}], { stdio: "ignore" });
      console.log(JSON.stringify({ pid })); ${forever}`;
    const { step } = await run(plan(code, { read: lastJson, seconds: 1 }));
    expect(step).toMatchObject({ outcome: "failed", reason: "not done in 1 s" });
    const { pid } = step.result as { pid: number };
    // Ended, but perhaps not yet collected by its new parent.
    const state = () => (existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "Z");
    for (let wait = 0; wait < 100 && !/\bZ\b/.test(state()); wait++) await sleep(20);
    expect(state()).toMatch(/\bZ\b/);
  });

  it("tells of what it has found while it still runs, as what it is if all ends now", async () => {
    const code = "console.log('{\"x\": 1}'); process.stdout.write('{\"x\": 2'); setTimeout(() => {}, 3000)";
    const { changes } = await run(plan(code, { read: lastJson }));
    expect(changes.length).toBeGreaterThanOrEqual(2);
    expect(changes[0]).toMatchObject({ outcome: "failed", reason: "cut off" });
    expect(changes[0]).not.toHaveProperty("result");
    expect(changes.at(-1)).toMatchObject({ reason: "cut off", result: { x: 1 } });
  });

  it("is ended by a signal, and keeps what it has found", async () => {
    const code = "console.log('{\"x\": 1}'); setInterval(() => {}, 1000)";
    const { step } = await run(plan(code, { read: lastJson }), { abortAfter: 1000 });
    expect(step).toMatchObject({ outcome: "failed", reason: "interrupted", result: { x: 1 } });
    expect(step.seconds).toBeLessThan(10);
  });

  it("is skipped for what is missing, or if no time was left", async () => {
    const missing = await run(plan("", { missing: () => "no GPU" }));
    expect(missing).toMatchObject({ step: { outcome: "skipped", seconds: 0, reason: "no GPU" }, changes: [] });
    const late = await run(plan(""), { budget: 5 });
    expect(late.step).toMatchObject({ outcome: "skipped", reason: "no time was left" });
  });
});

describe("allSteps", () => {
  const made = (name: string, outcome: QuickStep["outcome"], date: string): QuickStep => {
    return { phase: "tests", name, outcome, seconds: 1, limit: 20, date, revision: "r" };
  };

  it("takes this run's, else an earlier one's, else says that there is none; in the order of the plans", () => {
    const plans = ["a", "b", "c"].map((name) => plan("", { name }));
    const now = [made("b", "failed", "2026-02-02")];
    const earlier = [made("b", "passed", "2026-01-01"), made("a", "passed", "2026-01-01")];
    const found = allSteps(plans, now, earlier, { date: "2026-02-02", revision: "r" });
    expect(found.map(({ name, outcome, date }) => [name, outcome, date])).toEqual([
      ["a", "passed", "2026-01-01"],
      ["b", "failed", "2026-02-02"],
      ["c", "skipped", "2026-02-02"],
    ]);
    expect(found[2]!.reason).toBe("not run yet");
  });
});

describe("bench/gpu.sh quick", () => {
  const arguments_ = (...rest: string[]) => ["quick", "--device", "simt", "--logs", path("logs"), ...rest];
  const start = (...rest: string[]) => ({ program: "bench/gpu.sh", args: arguments_("--out", path("out"), ...rest) });
  const json = () => path("out/quick-host-simt.json");
  const result = () => JSON.parse(readFileSync(json(), "utf8")) as QuickResult;
  const outcomes = () => Object.fromEntries(result().steps.map(({ name, reason }) => [name, reason ?? "passed"]));

  (simt ? it : it.skip)("writes a result and a page, and adds to those that are there", () => {
    const { program, args } = start("fault");
    expect(spawnSync(program, args, { encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
    expect(outcomes()).toMatchObject({ info: "passed", gpu: "no GPU", fault: "passed", large: "not run yet" });
    const page = readFileSync(path("out/quick-host-simt.md"), "utf8");
    expect(page).toMatch(/^# host \(simt\)\n/);
    expect(page).toContain("A provoked fault: DeviceError: simt:0");
    const again = start("large");
    expect(spawnSync(again.program, again.args).status).toBe(0);
    expect(outcomes()).toMatchObject({ fault: "passed", large: "passed" });
  });

  (simt ? it : it.skip)("tunes, and trains with the table that this makes", () => {
    const { program, args } = start("tune");
    expect(spawnSync(program, args, { encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
    expect(outcomes()).toMatchObject({ tune: "passed", "tiny-1-tuned": "passed" });
    const [, inTable, all] = /^(\d+) of (\d+) matrix products/m.exec(
      readFileSync(path("logs/tiny-1-tuned.log"), "utf8"),
    )!;
    expect(inTable).toBe(all);
    expect(readFileSync(path("out/quick-host-simt.md"), "utf8")).toMatch(/^\| tiny, tuned \| 1 \| 32 \|/m);
  });

  (simt ? it : it.skip)("leaves a whole result when it is killed", async () => {
    const { program, args } = start("kernels");
    const child = spawn(program, args, { stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("close", resolve));
    const begun = () => existsSync(json()) && outcomes().kernels === "cut off";
    for (let wait = 0; wait < 3000 && child.exitCode === null && !begun(); wait++) await sleep(10);
    child.kill("SIGKILL");
    await ended;
    expect(outcomes()).toMatchObject({ info: "passed", gpu: "no GPU", "same-bits": "not run yet" });
    expect(["cut off", "passed"]).toContain(outcomes().kernels);
    expect(readFileSync(path("out/quick-host-simt.md"), "utf8")).toContain("| kernels | kernels |");
  });

  it("says how to use it", () => {
    const help = spawnSync("bench/gpu.sh", ["quick", "--help"], { encoding: "utf8" });
    expect(help).toMatchObject({ status: 0, stderr: "" });
    expect(help.stdout).toMatch(/^usage: bench\/gpu\.sh quick /);
    for (const part of parts) expect(help.stdout).toContain(part);
  });

  it("refuses a part, a device or a flag that there is not", () => {
    const refused = (...args: string[]) => spawnSync("bench/gpu.sh", ["quick", ...args], { encoding: "utf8" });
    expect(refused("nothing")).toMatchObject({ status: 2, stderr: expect.stringMatching(/no part 'nothing'/) });
    expect(refused("--device", "cpu")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/expected cuda or simt/),
    });
    expect(refused("--bugdet", "5")).toMatchObject({
      status: 2,
      stderr: "bench/gpu.sh quick: Unknown option '--bugdet'\n",
    });
    expect(refused("--budget", "--out")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^.*--budget.*\n$/),
    });
    expect(existsSync(join(path(), "out"))).toBe(false);
  });
});

describe("the files of a result", () => {
  it("do not say where the checkout was", () => {
    const step: QuickStep = {
      phase: "tests",
      name: "binding",
      outcome: "failed",
      seconds: 1,
      limit: 2,
      date: "2026-01-01",
      revision: "r",
      reason: `at ${process.cwd()}/test/one.test.ts:3`,
      output: `Error\n    at run (${process.cwd()}/node_modules/one.js:1)`,
    };
    writeResult(path(), { device: "GPU", backend: "cuda", date: "2026-01-01", revision: "r", steps: [step] });
    for (const file of Object.values(resultFiles(path(), "GPU"))) {
      const text = readFileSync(file, "utf8");
      expect(text).not.toContain(process.cwd());
      expect(text).toContain("at test/one.test.ts:3");
    }
  });
});
