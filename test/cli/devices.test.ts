/** `--devices`, on simulated devices with the fake NCCL: what it starts, refuses and says, and how its ranks end. */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { beforeAll, expect, it } from "@jest/globals";
import { readMetrics } from "../../lib/report/metrics.js";
import { builtCommand } from "../support/built.js";
import { writeMadeConfig } from "../support/made_run.js";
import { describeNccl, fakeNccl } from "../support/nccl.js";

Object.assign(process.env, fakeNccl);

const nextpatch = builtCommand();
const { path } = nextpatch;

beforeAll(() => writeMadeConfig(path(".")));

const set = (...changes: string[]) => changes.flatMap((change) => ["--set", change]);
const small = ["--device", "simt", ...set("batch.tokensPerStep=64", "batch.sequenceLength=8", "eval.sequences=2")];
const long = set("train.steps=1000000", "eval.everySteps=1000000", "checkpoint.everySteps=1000000");
const train = (out: string, devices: string) => ["train", "config.json", "--devices", devices, ...set(`out=${out}`)];

/** Process numbers of the ranks whose run is in a folder, by rank. */
function ranksOf(out: string): number[] {
  const found: number[] = [];
  for (const process of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const args = readFileSync(`/proc/${process}/cmdline`, "utf8").split("\0");
      const rank = /(?:^|\0)RANK=(\d)/.exec(readFileSync(`/proc/${process}/environ`, "utf8"))?.[1];
      if (args.includes(`out=${out}`) && rank !== undefined) found[Number(rank)] = Number(process);
    } catch {
      // it has ended meanwhile
    }
  }
  return found;
}

/** Starts a run that takes hours, and waits for its first steps. */
async function startLong(out: string) {
  const started = nextpatch.start(...train(out, "0,1"), ...small, ...long);
  const begun = () => {
    try {
      return readFileSync(path(`${out}/metrics.jsonl`)).length > 0;
    } catch {
      return false;
    }
  };
  while (!begun()) {
    if (started.process.exitCode !== null) throw new Error((await started.finished).stderr);
    await setTimeout(20);
  }
  expect(ranksOf(out)).toHaveLength(2);
  return started;
}

describeNccl("--devices", () => {
  it("trains by a process on each, and on one alone without others", async () => {
    const two = await nextpatch("--json", ...train("two", "0,1"), ...small, ...set("train.steps=3"));
    expect(two.code).toBe(0);
    expect(JSON.parse(two.stdout)).toMatchObject({ run: "two", steps: 3 });
    expect(two.stderr.match(/M parameters, by 2 ranks/g)).toHaveLength(1);
    const resumed = await nextpatch(...train("two", "1"), ...small, ...set("train.steps=3"), "--resume");
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).not.toContain("ranks");
  });

  it.each([
    [
      "0,2",
      ["--device", "simt"],
      2,
      "parallel.devices: expected numbers below 2, of this machine's GPUs, but received 2",
    ],
    [
      "0,1",
      ["--device", "cpu"],
      2,
      "parallel.devices: expected GPUs but received 0, 1 of cpu, which has several ranks by --ranks",
    ],
    [
      "0,1",
      ["--device", "simt", "--ranks", "3"],
      2,
      "parallel.ranks: expected 2, one for each of parallel.devices, but received 3",
    ],
  ])("refuses %s with %j", async (devices, more, code, message) => {
    const { stderr, ...ended } = await nextpatch(...train("refused", devices), ...more);
    expect({ ...ended, stderr }).toEqual({ code, stdout: "", stderr: expect.stringContaining(message) });
  });

  it("a signal ends all after one step, with one checkpoint", async () => {
    const signal = "SIGTERM";
    const { process: child, finished } = await startLong(signal);
    child.kill(signal);
    const { code, stderr } = await finished;
    expect(code).toBe(1);
    const step = Number(/interrupted at step (\d+) of 1000000; go on with --resume\n$/.exec(stderr)?.[1]);
    expect(readdirSync(path(`${signal}/checkpoints`))).toEqual([`step-${String(step).padStart(8, "0")}`]);
    expect((await readMetrics(path(`${signal}/metrics.jsonl`))).at(-1)?.step).toBe(step);
    expect(ranksOf(signal)).toEqual([]);
  });

  it.each([0, 1])("ends all in two seconds where rank %d is killed, and says so in one line", async (rank) => {
    const out = `killed-${rank}`;
    const { finished } = await startLong(out);
    const begin = performance.now();
    process.kill(ranksOf(out)[rank]!, "SIGKILL");
    const { code, stderr } = await finished;
    expect(performance.now() - begin).toBeLessThan(2000);
    expect(code).not.toBe(0);
    expect(stderr.match(/; so all/g)).toHaveLength(1);
    expect(stderr).toMatch(new RegExp(`nextpatch: rank ${rank} on \\S+ [^\n]*; so all [^\n]*\n$`));
    expect(ranksOf(out)).toEqual([]);
  });

  it("ends with a checkpoint where the command is killed", async () => {
    const { process: child } = await startLong("gone");
    child.kill("SIGKILL");
    while (ranksOf("gone").length > 0) await setTimeout(50);
    expect(readdirSync(path("gone/checkpoints"))).toHaveLength(1);
  });
});
