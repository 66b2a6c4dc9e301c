/** `nextpatch compare` as a process: what it prints, and what a signal does to it. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "@jest/globals";
import { builtCommand } from "../support/built.js";
import { tinyModel, writeTinyData } from "../support/made_comparison.js";

const nextpatch = builtCommand();
const { path } = nextpatch;

beforeAll(async () => {
  await writeTinyData(path("."));
  const config = {
    name: "tiny",
    model: tinyModel,
    data: { train: "train.bin", val: "val.bin" },
    stages: [{ patchSize: 4, fraction: 0.6667 }, { patchSize: 1 }],
    batch: { tokensPerStep: 64, sequenceLength: 8 },
    train: { tokens: 768 },
    optimizer: { lr: 0.02 },
    schedule: { warmupSteps: 1 },
    eval: { everySteps: 2, sequences: 4 },
    device: "cpu",
    precision: "fp32",
  };
  writeFileSync(path("config.json"), JSON.stringify(config));
});

describe("nextpatch compare", () => {
  it("prints one JSON object, all else to stderr, and the same numbers for people", async () => {
    const { code, stdout, stderr } = await nextpatch("compare", "config.json", "--json", "--equal-cost");
    expect([code, code === 0 ? "" : stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^\{.*\}\n$/);
    expect(stdout).toBe(readFileSync(path("runs/tiny/comparison.json"), "utf8"));
    const { ratio, valLossDelta } = JSON.parse(stdout) as { ratio: { flops: number }; valLossDelta: number };
    expect(stderr).toContain("runs/tiny/equal-cost/seed-1: K = 4, fraction 0.6667, equal cost\n");

    const words = await nextpatch("compare", "config.json", "--equal-cost");
    expect(words.code).toBe(0);
    expect(words.stdout).toContain("| token-level ");
    expect(words.stdout).toContain(`- Cost in FLOPs: ${ratio.flops.toFixed(3)}× (`);
    expect(words.stdout).toContain(`- Loss at equal data: ${valLossDelta < 0 ? "−" : "+"}`);
    expect(words.stdout).toContain("- Loss at equal cost: ");
    expect(words.stdout).toMatch(
      /\n\| Part +\| token-level \| K = 4, fraction 0\.6667 \| +Time × \| +FLOP × \| +Gap \|/,
    );
    expect(words.stdout).toMatch(/\nTraining takes [\d.]+× of the time for 0\.50\d× of the FLOPs, a gap of /);
    expect(words.stdout).toContain("page: runs/tiny/comparison.html\n");
    expect(words.stderr.match(/holds the finished run/g)).toHaveLength(3);
  });

  it("compares recipes over seeds at rates of their own, and answers in the last line before the files", async () => {
    const flags = ["--recipe", "superposition", "--seeds", "1,2", "--tune", "lr=0.01", "share=0.5"];
    const { code, stdout, stderr } = await nextpatch("compare", "config.json", ...flags, "--set", "out=runs/recipes");
    expect([code, code === 0 ? "" : stderr]).toEqual([0, ""]);
    expect(stderr).toContain("recipe superposition:\n  stages: ");
    expect(stderr).toMatch(/\ntune: superposition is best at lr /);
    expect(stdout.split("\n").at(-6)).toMatch(/^Does training in patches pay here\? .*, 2 seeds\)\.$/);
    expect(stdout).toMatch(/\n\| Rate, schedule \| token-level \| superposition \|\n/);
    expect(stdout).toMatch(/\n\| Run +\| Seed 1 \| Seed 2 \| Spread \|/);
  });

  it.each(["SIGINT", "SIGTERM"] as const)("saves on %s, says how to go on, and goes on", async (signal) => {
    const long = [`--set=out=runs/${signal}`, "--set=train={tokens: 1280000}"];
    /** Runs the command and sends the signal as soon as it has said `word`. */
    const interruptedAt = async (word: string) => {
      const { process: child, finished } = nextpatch.start("compare", "config.json", ...long);
      let seen = "";
      child.stderr!.on("data", (text: string) => {
        seen += text;
        if (seen.includes(word) && !child.killed) child.kill(signal);
      });
      return finished;
    };
    const { code, stdout, stderr } = await interruptedAt("baseline/seed-1: token-level");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    const said = /nextpatch: interrupted in the run token-level at step (\d+) of 20000; the same command goes on/;
    const step = Number(said.exec(stderr)![1]);
    const checkpoint = readFileSync(path(`runs/${signal}/baseline/seed-1/latest`), "utf8");
    expect(checkpoint).toBe(`step-${String(step).padStart(8, "0")}\n`);

    const resumed = await interruptedAt("going on from");
    expect(resumed.stderr).toContain(`going on from runs/${signal}/baseline/seed-1/checkpoints/${checkpoint.trim()}`);
    // The signal may come before the first step.
    expect(Number(said.exec(resumed.stderr)![1])).toBeGreaterThanOrEqual(step);
  });

  it.each([
    { args: ["--sweep", "patchSize=3"], says: /K = 3, fraction 0\.6667: batch\.tokensPerStep: expected a multiple/ },
    { args: ["--sweep", "lr=3"], says: /--sweep: expected patchSize=K.* but received the string "lr=3"/ },
    { args: ["--set", "stages=[{patchSize: 1}]"], says: /stages: expected two/ },
    {
      args: ["--recipe", "papr"],
      says: /'--recipe <names>' argument 'papr' is invalid\. expected one or several of paper, /,
    },
    { args: ["--seeds", "1,1"], says: /argument '1,1' is invalid\. expected different whole numbers of at least 0/ },
    { args: ["--tune", "lr=-1"], says: /--tune: expected numbers above 0.* but received the string "-1"/ },
    { args: ["--equal-cots"], says: /unknown option '--equal-cots' \(Did you mean --equal-cost\?\)/ },
  ])("ends with 2 and one line before anything runs: $args", async ({ args, says }) => {
    const { code, stdout, stderr } = await nextpatch("compare", "config.json", ...args, "--set", "out=runs/none");
    expect(stderr).toMatch(says);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(() => readFileSync(path("runs/none/baseline/seed-1/config.json"))).toThrow();
  });

  it("names the key of a config that was changed", async () => {
    mkdirSync(path("runs/changed/baseline/seed-1"), { recursive: true });
    copyFileSync(path("runs/tiny/baseline/seed-1/config.json"), path("runs/changed/baseline/seed-1/config.json"));
    const set = ["--set", "out=runs/changed", "--set", "optimizer.lr=1"];
    const { code, stderr } = await nextpatch("compare", "config.json", ...set);
    expect(stderr).toMatch(
      /runs\/changed\/baseline\/seed-1: expected the config .* was begun with .*: optimizer\.lr: 0\.02 before, 1 now /,
    );
    expect(code).toBe(2);
  });
});
