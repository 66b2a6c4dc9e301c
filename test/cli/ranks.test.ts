/** `train --ranks`: what is said once, how signals and lost ranks end all of them, and what then is there. */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { beforeAll, expect, it } from "@jest/globals";
import { readMetrics } from "../../lib/report/metrics.js";
import { builtCommand } from "../support/built.js";
import { evaluated } from "../support/evaluated.js";
import { long, ranksOf, set, startLong } from "../support/long_run.js";
import { writeMadeConfig } from "../support/made_run.js";
import { describeRanks } from "../support/ranks.js";

const nextpatch = builtCommand();
const { path } = nextpatch;

beforeAll(() => writeMadeConfig(path(".")));

/** A run by so many ranks. */
const startRanks = (out: string, ranks: number) => startLong(nextpatch, out, ranks, "--ranks", String(ranks));

describeRanks("train --ranks", () => {
  it("trains, and prints what one rank prints", async () => {
    const { code, stdout, stderr } = await nextpatch(
      "--json",
      "train",
      "config.json",
      "--ranks",
      "2",
      ...set("out=two"),
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ run: "two", steps: 12 });
    expect(stdout.trim().split("\n")).toHaveLength(1);
    expect(stderr.match(/M parameters/g)).toHaveLength(1);
    const steps = (await readMetrics(path("two/metrics.jsonl"))).map(({ step }) => step);
    expect(steps).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
  });

  it("says once what is wrong for all", async () => {
    const { code, stderr } = await nextpatch("train", "config.json", "--ranks", "3", ...set("out=three"));
    expect(code).toBe(2);
    expect(stderr).toMatch(/^nextpatch: parallel\.ranks: expected a number that divides the 4 sequences [^\n]+\n$/m);
    expect(stderr.match(/parallel\.ranks/g)).toHaveLength(1);
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s ends all after one step, with one checkpoint",
    async (signal) => {
      const { process: child, finished } = await startRanks(signal, 2);
      child.kill(signal);
      const { code, stdout, stderr } = await finished;
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      const step = Number(/interrupted at step (\d+) of 1000000; go on with --resume\n$/.exec(stderr)?.[1]);
      expect(stderr).toContain(`${signal}: finishing the step and saving a checkpoint`);
      expect(readdirSync(path(`${signal}/checkpoints`))).toContain(`step-${String(step).padStart(8, "0")}`);
      expect((await readMetrics(path(`${signal}/metrics.jsonl`))).at(-1)?.step).toBe(step);
      expect(ranksOf(signal)).toEqual([]);
    },
  );

  it("saves on SIGUSR2 and goes on, and saves and ends where the command is killed", async () => {
    const { process: child } = await startRanks("gone", 2);
    child.kill("SIGUSR2");
    while (readdirSync(path("gone/checkpoints")).length === 0) await setTimeout(20);
    expect(ranksOf("gone")).toHaveLength(2);
    child.kill("SIGKILL");
    while (ranksOf("gone").length > 0) await setTimeout(50);
    const saved = readdirSync(path("gone/checkpoints")).at(-1)!;
    const last = (await readMetrics(path("gone/metrics.jsonl"))).at(-1)!;
    expect(saved).toBe(`step-${String(last.step).padStart(8, "0")}`);
  });

  it.each([0, 1])("ends all where rank %d is killed, and says so in one line", async (rank) => {
    const out = `killed-${rank}`;
    const { finished } = await startRanks(out, 2);
    process.kill(ranksOf(out)[rank]!, "SIGKILL");
    const { code, stderr } = await finished;
    expect(code).not.toBe(0);
    expect(stderr).toMatch(
      new RegExp(`nextpatch: rank ${rank} on \\S+ was ended by signal 9 \\(Killed\\); so all have ended\n$`),
    );
    expect(ranksOf(out)).toEqual([]);
  });

  it("ends where a signal comes while the ranks start", async () => {
    const { process: child, finished } = nextpatch.start(
      "train",
      "config.json",
      "--ranks",
      "2",
      ...set("out=early"),
      ...long,
    );
    while (ranksOf("early").length === 0) await setTimeout(5);
    child.kill("SIGTERM");
    const { code, stderr } = await finished;
    expect(code).toBe(1);
    expect(stderr).toMatch(/interrupted at step \d+ of 1000000; go on with --resume\n$/);
    expect(stderr).not.toContain("Debugger");
  });

  it("says so where the program that starts ranks is killed", async () => {
    const { process: child, finished } = await startRanks("orphans", 2);
    const [launcher] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ");
    process.kill(Number(launcher), "SIGKILL");
    const { code, stderr } = await finished;
    expect(code).toBe(1);
    expect(stderr).toMatch(/nextpatch: mpirun\S* was ended by SIGKILL; so all ranks have ended\n$/);
    while (ranksOf("orphans").length > 0) await setTimeout(20);
  });

  it("starts no rank where it cannot be right", async () => {
    const many = await nextpatch("eval", "--model", "two/model", "--data", "val.bin", "--ranks", "9999");
    expect(many).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^nextpatch: --ranks: expected at most \d+ on /),
    });
    const root = "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1";
    const { stderr } = await nextpatch.shell(
      `${root}; mpirun --oversubscribe -n 2 ${process.execPath} dist/cli/main.js train config.json --ranks 4 --set out=other`,
    );
    expect(stderr).toMatch(
      /^nextpatch: parallel\.ranks: expected 2, as many as the launcher started, but received 4$/m,
    );
  });

  it("compare trains every run by all ranks, and goes on with another number of them", async () => {
    const stages = "stages=[{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }]";
    const compared = (out: string, ...more: string[]) =>
      nextpatch("--json", "compare", "config.json", ...set(`out=${out}`, stages), ...more);
    const first = await compared("compared", "--ranks", "2", "--seeds", "1");
    expect(first.code).toBe(0);
    const { baseline, patch } = JSON.parse(first.stdout) as {
      baseline: { valLoss: number };
      patch: { valLoss: number };
    };
    const alone = await compared("alone", "--seeds", "1");
    const expected = JSON.parse(alone.stdout) as { baseline: { valLoss: number }; patch: { valLoss: number } };
    expect(Math.abs(baseline.valLoss / expected.baseline.valLoss - 1)).toBeLessThan(1e-6);
    expect(Math.abs(patch.valLoss / expected.patch.valLoss - 1)).toBeLessThan(1e-6);
    const again = await compared("compared", "--ranks", "4", "--seeds", "1,2");
    expect(again.code).toBe(0);
    expect(again.stderr).toContain("holds the finished run");
  });

  it("eval has one rank's loss, also with more ranks than blocks", async () => {
    const onCpu = (...more: string[]) => evaluated(nextpatch, "--device", "cpu", ...more);
    const alone = await onCpu();
    for (const ranks of ["2", "3"]) {
      const { loss, tokens } = await onCpu("--ranks", ranks);
      expect(tokens).toBe(alone.tokens);
      expect(Math.abs(loss / alone.loss - 1)).toBeLessThan(1e-6);
    }
    expect((await onCpu("--ranks", "3", "--sequence-length", "64")).loss).toBeGreaterThan(0);
    const { code, stderr } = await nextpatch("eval", "--model", "two/model", "--text", "config.json", "--ranks", "2");
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: "nextpatch: --ranks: expected --data with it but received none\n",
    });
  });

  it("plans the memory of each rank", async () => {
    const planned = async (ranks: string) => {
      const { stdout } = await nextpatch("--json", "info", "--config", "config.json", "--ranks", ranks);
      return (JSON.parse(stdout) as { plan: { ranks: number; items: { name: string; bytes: number }[] } }).plan;
    };
    const [one, two] = [await planned("1"), await planned("2")];
    expect([one.ranks, two.ranks]).toEqual([1, 2]);
    const moments = ({ items }: typeof one) => items.find(({ name }) => name.startsWith("AdamW"))!.bytes;
    expect(moments(two) / moments(one)).toBeCloseTo(0.5, 2);
  });
});
