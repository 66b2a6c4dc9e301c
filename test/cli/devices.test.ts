/** `--devices`, on simulated devices with the fake NCCL: what it starts, refuses and says, and how its ranks end. */
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout } from "node:timers/promises";
import { beforeAll, expect, it } from "@jest/globals";
import { readMetrics } from "../../lib/report/metrics.js";
import { builtCommand } from "../support/built.js";
import { evaluated } from "../support/evaluated.js";
import { ranksOf, set, startLong } from "../support/long_run.js";
import { writeMadeConfig } from "../support/made_run.js";
import { describeNccl, fakeNccl } from "../support/nccl.js";

Object.assign(process.env, fakeNccl);

const nextpatch = builtCommand();
const { path } = nextpatch;

beforeAll(() => writeMadeConfig(path(".")));

const small = ["--device", "simt", ...set("batch.tokensPerStep=64", "batch.sequenceLength=8", "eval.sequences=2")];
const train = (out: string, devices: string) => ["train", "config.json", "--devices", devices, ...set(`out=${out}`)];

/** A run by two ranks. */
const startRanks = (out: string) => startLong(nextpatch, out, 2, "--devices", "0,1", ...small);

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

  it("compare trains every run on all of them, and eval shares out the blocks", async () => {
    const made = [...small, ...set("train.steps=4", "stages=[{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }]")];
    const loss = async (out: string, ...more: string[]) => {
      const args = ["compare", "config.json", ...made, ...set(`out=${out}`), "--seeds", "1", ...more];
      const { code, stdout, stderr } = await nextpatch("--json", ...args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.anything() });
      const { baseline, patch } = JSON.parse(stdout) as Record<"baseline" | "patch", { valLoss: number }>;
      return [baseline.valLoss, patch.valLoss];
    };
    const alone = await loss("compared-1");
    const shared = await loss("compared-2", "--devices", "0,1");
    for (const [arm, valLoss] of shared.entries()) expect(Math.abs(valLoss / alone[arm]! - 1)).toBeLessThan(1e-6);

    const onSimt = (...more: string[]) => evaluated(nextpatch, "--device", "simt", ...more);
    const [one, both] = [await onSimt(), await onSimt("--devices", "0,1")];
    expect(both.tokens).toBe(one.tokens);
    expect(Math.abs(both.loss / one.loss - 1)).toBeLessThan(1e-6);
  });

  it("trains as torchrun starts it, whose agent holds the port that it names", async () => {
    const agent = createServer().listen(0, "127.0.0.1");
    await once(agent, "listening");
    const variables = {
      WORLD_SIZE: 2,
      LOCAL_WORLD_SIZE: 2,
      GROUP_RANK: 0,
      GROUP_WORLD_SIZE: 1,
      ROLE_WORLD_SIZE: 2,
      MASTER_ADDR: "127.0.0.1",
      MASTER_PORT: (agent.address() as AddressInfo).port,
      TORCHELASTIC_RESTART_COUNT: 0,
      TORCHELASTIC_MAX_RESTARTS: 0,
      TORCHELASTIC_RUN_ID: "none",
      OMP_NUM_THREADS: 1,
    };
    const line = ["--json train config.json", ...small, ...set("out=torchrun", "train.steps=3")].join(" ");
    const exports = Object.entries(variables).map(([name, value]) => `export ${name}=${value}`);
    const ranks = [1, 0].map((rank) => `RANK=${rank} LOCAL_RANK=${rank} ROLE_RANK=${rank} nextpatch ${line}`);
    const { code, stdout, stderr } = await nextpatch.shell(
      [...exports, `${ranks[0]} &`, ranks[1]!, "wait $!"].join("\n"),
    );
    agent.close();
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/M parameters, by 2 ranks/) });
    expect(stdout.trim().split("\n")).toHaveLength(1);
    expect(JSON.parse(stdout)).toMatchObject({ run: "torchrun", steps: 3 });
  });

  it("a signal ends all after one step, with one checkpoint", async () => {
    const signal = "SIGTERM";
    const { process: child, finished } = await startRanks(signal);
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
    const { finished } = await startRanks(out);
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
    const { process: child } = await startRanks("gone");
    child.kill("SIGKILL");
    while (ranksOf("gone").length > 0) await setTimeout(50);
    expect(readdirSync(path("gone/checkpoints"))).toHaveLength(1);
  });
});
