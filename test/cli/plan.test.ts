/** `nextpatch plan`: its text, its JSON and its errors. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Command } from "commander";
import type { CliIo } from "../../lib/cli/io.js";
import { registerPlan } from "../../lib/cli/plan.js";
import { ConfigError } from "../../lib/errors.js";
import { gpuNamed, gpuNames } from "../../lib/plan/gpus.js";
import { writeShard } from "../support/made_run.js";

const folder = mkdtempSync(join(tmpdir(), "nextpatch-plan-"));
const path = (name: string) => join(folder, name);
const cluster = ["--gpus", "64", "--gpu", "h100", "--net", "400"];

interface Printed {
  readonly tokenLevel: { readonly seconds: number; readonly gpuHours: number };
  readonly staged: Printed["tokenLevel"] & { readonly stages: [Readonly<Record<string, number>>] };
  readonly saves: { readonly flops: number; readonly seconds: number; readonly gpuHours: number };
}

/** Runs the command in this process; test/repository/surface.test.ts runs it as a user does. */
async function planOf(config: string, ...args: string[]) {
  const result = { text: "", json: {} as never, error: null as Error | null, usage: false, message: "" };
  const io: CliIo = {
    log: () => undefined,
    result: (text, json) => Object.assign(result, { text, json: JSON.parse(JSON.stringify(json)) }),
    stream: null,
    json: false,
    progress: () => ({ update: () => undefined, stop: () => undefined }),
  };
  const output = { writeErr: () => undefined, outputError: (text: string) => (result.message += text) };
  const program = new Command("nextpatch").exitOverride().configureOutput(output as never);
  registerPlan(program, io);
  await program.parseAsync(["plan", path(config), ...args], { from: "user" }).catch((error: Error) => {
    result.error = error;
    // program.ts gives the exit code 2 to these two.
    result.usage = error instanceof ConfigError || error.constructor.name === "CommanderError";
    if (error instanceof ConfigError) result.message = error.message;
  });
  return result;
}

const plan = (...args: string[]) => planOf("run.json", ...args);

beforeAll(() => {
  const config = {
    name: "planned",
    model: { preset: "llama-1.3b" },
    data: { train: "nowhere/train_*.bin", val: "nowhere/val_*.bin" },
    stages: [{ patchSize: 4, fraction: 0.6667 }, { patchSize: 1 }],
    batch: { tokensPerStep: 2097152, sequenceLength: 2048 },
    train: { tokens: 360e9 },
  };
  writeFileSync(path("run.json"), JSON.stringify(config));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("nextpatch plan", () => {
  it("prints tables of 80 columns, without the data", async () => {
    const { text: stdout, error } = await plan(...cluster);
    expect(error).toBeNull();
    const lines = stdout.split("\n");
    // The last line has the path of the manual.
    expect(lines.slice(0, -1).filter((line) => line.length > 80)).toEqual([]);
    expect(stdout).toContain("1.35 G parameters on 64 x h100, 8 a machine, network 400 Gbit/s each\n");
    expect(stdout).toContain("speed of each GPU: 40.0 % of 989 TFLOP/s, assumed\n");
    expect(stdout).toContain("rings of all GPUs: 320 GB/s, limited by network\n");
    expect(stdout).toMatch(/^token by token, K = 1 +171661 +360 G/m);
    expect(stdout).toMatch(/^ {2}stage 1, K = 4 +114447 +240 G/m);
    expect(stdout).toMatch(/^in stages +171661 +360 G/m);
    expect(stdout).toContain("in each step a GPU sends 5.30 GB of gradients and 2.65 GB of weights\n");
    expect(stdout).toMatch(/^ {2}in all: fits +58\.\d\d GiB$/m);
    expect(stdout).toMatch(/^the stages save \d+ GPU-hours: 49\.\d %, where they save 50\.0 % of the FLOPs,$/m);
    expect(stdout).toContain("this config can use 256 GPUs");
    expect(stdout).toContain("Nothing of this was measured");
    expect(stdout).toMatch(/docs\/plan\.md$/m);
  });

  it("prints one JSON object that says the same", async () => {
    const { json } = await plan(...cluster, "--mfu", "0.55");
    expect(json).toMatchObject({
      gpu: { name: "h100", peakFlops: 989e12, memoryBytes: 80e9, link: "NVLink" },
      gpus: 64,
      gpusPerNode: 8,
      net: 400,
      mfu: 0.55,
      mfuAssumed: false,
      parameters: 1345423360,
      ring: { limitedBy: "network" },
      tokenLevel: { stages: [{ patchSize: 1, sequencesPerRank: 16, microBatch: 16 }], mostGpus: 1024 },
      staged: { stages: [{ patchSize: 4, sequencesPerRank: 4 }, { patchSize: 1 }], mostGpus: 256 },
    });
    const { tokenLevel, staged, saves } = json as Printed;
    expect(saves.seconds).toBeCloseTo(1 - staged.seconds / tokenLevel.seconds, 12);
    expect(saves.gpuHours).toBeCloseTo(tokenLevel.gpuHours - staged.gpuHours, 9);
    expect(saves.flops).toBeCloseTo(0.5, 3);
    const [patches] = staged.stages;
    expect(patches.secondsPerStep).toBeCloseTo(patches.computeSeconds! + patches.exposedSeconds!, 12);
    expect(patches.seconds).toBeCloseTo(patches.steps! * patches.secondsPerStep!, 6);
  });

  it("prints what its page shows, with the GPUs of the page's table", async () => {
    const page = readFileSync(new URL("../../docs/plan.md", import.meta.url), "utf8");
    const [, config] = /```yaml\n([\s\S]*?)```/.exec(page)!;
    const [, flags, shown] = /nextpatch plan llama-1\.3b\.yaml (.*)` prints\n\n```\n([\s\S]*?)\n```/.exec(page)!;
    writeFileSync(path("llama-1.3b.yaml"), config!);
    const { text } = await planOf("llama-1.3b.yaml", ...flags!.split(" "));
    expect(text.replace(/\S+$/, "")).toBe(shown!.replace(/\S+$/, ""));
    const rows = [...page.matchAll(/^\| `(\w+)`.* \| (\d+) \| (\d+) \| (\w+), (\d+) \|$/gm)].map((row) => row.slice(1));
    const known = gpuNames.map(gpuNamed).map(({ name, peakFlops, memoryBytes, link }) => {
      return [name, ...[peakFlops / 1e12, memoryBytes / 1e9].map(String), link.kind, String(link.bytesPerSecond / 1e9)];
    });
    expect(rows).toEqual(known);
  });

  it("has no network within one machine, and no communication on one GPU", async () => {
    const { json } = await plan("--gpus", "8", "--gpu", "b200");
    expect(json).toMatchObject({ net: null, ring: { limitedBy: "NVLink" } });
    const single = await plan("--gpus", "1", "--gpu", "h200", "--set", "train.tokens=1e9");
    expect(single.json).toMatchObject({ net: null, ring: null });
    expect(single.text).toContain("1.35 G parameters on 1 x h200\n");
    expect(single.text).not.toContain("efficiency");
  });

  it("prints a plan that does not fit, and fails", async () => {
    const { text, error, usage } = await plan("--gpus", "1", "--gpu", "4090");
    expect(text).toContain("in all: DOES NOT FIT");
    expect({ name: error?.name, usage }).toEqual({ name: "OutOfMemoryError", usage: false });
    expect(error?.message).toMatch(
      /^memory plan: expected at most 20\.12 GiB on each 4090 but received 25\.\d\d GiB: recompute, /,
    );
  });

  it("reads the data only where the run's length is in epochs", async () => {
    const epochs = ["--set", "train={epochs: 2}"];
    const { error, text } = await plan(...cluster, ...epochs);
    expect({ name: error?.name, text }).toEqual({ name: "DataError", text: "" });
    expect(error?.message).toMatch(/nowhere\/train_\*\.bin/);
    await writeShard(path("train.bin"), new Uint16Array(2 ** 14));
    const small = ["--set", "batch={tokensPerStep: 8192, sequenceLength: 256}", "--gpus", "8", "--gpu", "h100"];
    const { json } = await plan(...small, ...epochs, "--set", `data={train: ${path("train.bin")}}`);
    expect(json).toMatchObject({ staged: { tokens: 2 ** 15 } });
  });

  it.each([
    [["--gpus", "64", "--gpu", "h10"], /'h10' is invalid\. expected one of a100, .*; did you mean h100\?$/],
    [["--gpus", "64"], /required option '--gpu <name>' not specified$/],
    [["--gpu", "h100"], /required option '--gpus <N>' not specified$/],
    [["--gpus", "0", "--gpu", "h100"], /--gpus <N>' argument '0' is invalid\. expected a whole number of at least 1$/],
    [
      ["--gpus", "64", "--gpu", "h100"],
      /--net: expected the Gbit\/s of each .* 8 machines of 8, but received nothing$/,
    ],
    [[...cluster, "--mfu", "45"], /--mfu <share>' argument '45' is invalid\. expected a number from 0\.01 to 1$/],
    [[...cluster, "--gpu-per-node", "4"], /unknown option '--gpu-per-node' \(Did you mean --gpus-per-node\?\)$/],
    [
      ["--gpus", "512", ...cluster.slice(2)],
      /--gpus: expected a divisor of the 256 sequences .* largest that works is 256/,
    ],
    [[...cluster, "--set", "optimizer.type=muon"], /--gpus: expected 1 for optimizer\.type muon/],
    [[...cluster, "--set", "batch.tokenPerStep=1"], /run\.json: batch\.tokenPerStep: .*tokensPerStep/],
  ])("refuses %j", async (flags, message) => {
    const refused = await plan(...flags);
    expect(refused).toMatchObject({ usage: true, text: "" });
    expect(refused.message.replace(/\n\((?=Did you mean)/, " (").trimEnd()).toMatch(message);
  });
});
