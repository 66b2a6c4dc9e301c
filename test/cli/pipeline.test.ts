/** From text to a model that generates: the commands in the order they are used. */
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "@jest/globals";
import type { KernelBenchResult } from "../../lib/bench/kernels/run.js";
import { backends } from "../../lib/device.js";
import { readMetrics } from "../../lib/report/metrics.js";
import { builtCommand, complaint } from "../support/built.js";
import { writeShard } from "../support/made_run.js";

const nextpatch = builtCommand();
const { path } = nextpatch;

/** The one object that a command with --json prints, and nothing besides. */
async function json<T = Record<string, unknown>>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await nextpatch(...args, "--json");
  expect([code, stderr]).toEqual([0, code === 0 ? stderr : ""]);
  expect(stdout).toMatch(/^\{.*\}\n$/);
  return JSON.parse(stdout) as T;
}

const config = `
name: small
model: { hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 2, vocab_size: 300 }
data: { train: data/train_*.bin, val: data/val_*.bin }
stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }]
batch: { tokensPerStep: 1024, sequenceLength: 32 }
train: { steps: 12 }
schedule: { warmupSteps: 2 }
eval: { everySteps: 6, sequences: 4 }
device: cpu
`;

let dataset: Record<string, unknown> = {};
let trained: Record<string, unknown> = {};
beforeAll(async () => {
  const documents = Array.from({ length: 60 }, (_, d) =>
    Array.from({ length: 40 }, (_, s) => `The ${["cat", "dog", "owl"][(d + s) % 3]} saw ${d + s} stars.`).join(" "),
  );
  writeFileSync(path("text.jsonl"), documents.map((text) => JSON.stringify({ text })).join("\n"));
  writeFileSync(path("config.yaml"), config);
  const flags = ["--out", "data", "--train-tokenizer", "300", "--val-fraction", "0.1"];
  dataset = await json("prepare", "text.jsonl", ...flags);
  trained = await json("train", "config.yaml");
});

describe("the commands in turn", () => {
  it("prepare makes a dataset", () => {
    expect(dataset).toMatchObject({ vocabSize: 300, documents: { train: 54, val: 6 } });
    for (const name of ["train_000000.bin", "val_000000.bin", "tokenizer.json", "dataset.json"]) {
      expect([name, existsSync(path(`data/${name}`))]).toEqual([name, true]);
    }
  });

  it("train leaves a run", async () => {
    expect(trained).toMatchObject({ run: "runs/small", model: "runs/small/model", steps: 12, tokens: 12288 });
    const metrics = await readMetrics(path("runs/small/metrics.jsonl"));
    expect(metrics).toHaveLength(12);
    const { loss, valLoss, valBitsPerByte } = metrics[11]!;
    expect(trained).toMatchObject({ loss, valLoss, valBitsPerByte });
    for (const name of ["tokenizer.json", "tokenizer_config.json", "generation_config.json"]) {
      expect(existsSync(path(`runs/small/model/${name}`))).toBe(true);
    }
    const again = await nextpatch("train", "config.yaml");
    expect(again.code).toBe(2);
    expect(again.stderr).toMatch(/runs\/small: already holds a run; go on with it \(--resume\)/);
  });

  it("train --resume of a finished run tells the run's numbers again, and makes its model where it is gone", async () => {
    rmSync(path("runs/small/model"), { recursive: true });
    expect(await json("train", "config.yaml", "--resume")).toEqual(trained);
    expect(existsSync(path("runs/small/model/model.safetensors"))).toBe(true);
  });

  it("train says on stderr what it does, and on stdout what it has left", async () => {
    const flags = ["--set", "out=runs/said", "--set", "device=auto"];
    const { code, stdout, stderr } = await nextpatch("train", "config.yaml", ...flags);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^device: auto chose (cpu|cuda): /);
    expect(stderr).toMatch(/M parameters; K = 4 for 6 steps: 6.14 k tokens, .* FLOPs; then K = 1 for 6 steps: /);
    expect(stderr).toMatch(/planned in all +\d/);
    expect(stderr).toMatch(
      /train: 100%, step 12\/12 \| K 1 \| loss \d.* \| val \d.* \(\d.* bits\/byte\) \| .* tokens\/s \| ETA /,
    );
    expect(stdout).toMatch(
      /^12288 tokens in .* of training, validation loss \d.* \(\d.* bits per byte\)\nmodel: +runs\/said\/model\nreport: /,
    );
  });

  it("info plans the memory of a run", async () => {
    type Plan = {
      plan: {
        plannedBytes: number;
        copyBytes: number;
        items: { name: string; bytes: number }[];
        problem: string | null;
      };
    };
    const { plan } = await json<Plan>("info", "--config", "config.yaml");
    expect(plan.problem).toBeNull();
    expect(plan.items.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(plan.plannedBytes);
    const { plan: larger } = await json<Plan>("info", "--config", "config.yaml", "--set", "model.vocab_size=3000");
    expect(larger.plannedBytes).toBeGreaterThan(plan.plannedBytes);
    expect(larger.copyBytes).toBeGreaterThan(plan.copyBytes);
    const half = ["--device", "cpu", "--precision", "bf16"];
    const { plan: in16 } = await json<Plan>("info", "--config", "config.yaml", ...half);
    expect(in16.items.map(({ name }) => name)).toContain("weights (bf16)");
    const { plan: in32 } = await json<Plan>("info", "--config", "config.yaml", "--precision", "fp32");
    expect(in32.items.map(({ name }) => name)).not.toContain("weights (bf16)");
  });

  it("info prints a plan that does not fit, says what would, and fails", async () => {
    const batch = ["batch.tokensPerStep=1073741824", "batch.microBatch=8388608"];
    const flags = ["--config", "config.yaml", ...batch.flatMap((key) => ["--set", key])];
    const says =
      /memory plan: expected at most the .* MiB that are free on cpu .* the nearest that fits is batch\.microBatch: /;
    const human = await nextpatch("info", ...flags);
    expect(human.code).toBe(1);
    expect(human.stdout).toMatch(/planned in all +\d{7,}\.\d MiB\n/);
    expect(human.stderr).toMatch(says);
    const { code, stdout } = await nextpatch("info", ...flags, "--json");
    expect(code).toBe(1);
    expect((JSON.parse(stdout) as { plan: { problem: string } }).plan.problem).toMatch(says);
  });

  it("info prints what a recipe comes to, and the stages", async () => {
    const stages = "stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }]";
    writeFileSync(path("recipe.yaml"), config.replace(stages, "recipe: superposition"));
    const { code, stdout, stderr } = await nextpatch("info", "--config", "recipe.yaml");
    expect(code).toBe(0);
    expect(stderr).toMatch(/^recipe superposition:\n {2}stages: .*of: steps.*\n {2}batch: { positionsPerStep: 1024, /);
    expect(stdout).toMatch(
      /\nstages of recipe.yaml:\n {2}K = 4 for 4 steps: 16.4 k tokens, .* FLOPs\n {2}K = 1 for 8 steps: 8.19 k tokens, /,
    );
    type Stage = { patchSize: number; steps: number; tokens: number; flops: number };
    const { plan } = await json<{ plan: { stages: Stage[] } }>("info", "--config", "recipe.yaml");
    expect(plan.stages.map(({ patchSize, steps, tokens }) => [patchSize, steps, tokens])).toEqual([
      [4, 4, 16384],
      [1, 8, 8192],
    ]);
    const [patches, single] = plan.stages.map(({ steps, flops }) => flops / steps);
    expect(patches! / single! - 1).toBeLessThan(0.005);
  });

  it("eval prints the agreed keys, alike at every call", async () => {
    const args = ["eval", "--model", "runs/small/model", "--data", "data/val_*.bin", "--device", "cpu"];
    const found = await json<Record<string, number>>(...args, "--sequence-length", "32");
    expect(Object.keys(found)).toEqual(["loss", "perplexity", "bitsPerByte", "positions", "tokens"]);
    const { tokens, bytes } = dataset as Record<"tokens" | "bytes", { val: number }>;
    expect(found.bitsPerByte).toBeCloseTo((found.loss! * tokens.val) / (bytes.val * Math.LN2), 9);
    expect(found.perplexity).toBeCloseTo(Math.exp(found.loss!), 9);
    expect(found.tokens! % 32).toBe(0);
    expect(await json(...args, "--sequence-length", "32")).toEqual(found);
    const patches = await json<Record<string, number>>(...args, "--sequence-length", "32", "--patch-size", "4");
    expect(patches.tokens! % 128).toBe(0);
    expect(patches).not.toHaveProperty("bitsPerByte");
    expect(patches.positions).toBe(patches.tokens! / 4);
    for (const length of ["1", "4096"]) {
      const { code, stderr } = await nextpatch(...args, "--sequence-length", length);
      expect(code).toBe(2);
      expect(stderr).toContain(`expected a whole number from 2 to the model's context of 2048 but received ${length}`);
    }
  });

  it("eval computes the loss that Hugging Face's model has", async () => {
    const folder = fileURLToPath(new URL("../fixtures/hf/untied", import.meta.url));
    type Case = { patchSize: number; tokens: number[][]; loss64: number };
    const { cases } = JSON.parse(readFileSync(`${folder}/reference.json`, "utf8")) as { cases: Case[] };
    for (const { patchSize, tokens, loss64 } of cases) {
      const shard = path(`reference_${patchSize}.bin`);
      // A last token that makes no block is dropped.
      await writeShard(shard, [...tokens.flat(), 1]);
      const length = String(tokens[0]!.length / patchSize);
      const flags = ["--patch-size", String(patchSize), "--sequence-length", length, "--precision", "fp32"];
      const found = await json<{ loss: number; tokens: number }>("eval", "--model", folder, "--data", shard, ...flags);
      expect(Math.abs(found.loss / loss64 - 1)).toBeLessThan(1e-5);
      expect(found.tokens).toBe(tokens.flat().length);
    }
  });

  it("generate writes the same text by the same seed", async () => {
    const model = ["--model", "runs/small/model", "--device", "cpu"];
    const args = ["generate", ...model, "--prompt", "The cat", "--max-tokens", "24"];
    const first = await json<{ text: string; newTokens: number }>(...args, "--seed", "3");
    expect(Object.keys(first)).toEqual(["prompt", "text", "promptTokens", "newTokens", "finish", "tokensPerSecond"]);
    expect(first.newTokens).toBeLessThanOrEqual(24);
    const { tokensPerSecond: _, ...same } = first as Record<string, unknown>;
    expect(await json(...args, "--seed", "3")).toMatchObject(same);
    expect((await json(...args, "--seed", "4")).text).not.toBe(first.text);
    const greedy = ["--temperature", "0"];
    expect((await json(...args, ...greedy, "--seed", "5")).text).toBe((await json(...args, ...greedy)).text);
    const plain = await nextpatch(...args, "--seed", "3");
    expect(plain).toMatchObject({ code: 0, stdout: `The cat${first.text}\n` });
  });

  it("export writes a file, and says what is in it", async () => {
    const args = ["export", "--model", "runs/small/model", "--format", "gguf", "--out", "small.gguf"];
    const found = await json(...args);
    expect(Object.keys(found)).toEqual(["file", "bytes", "tensors", "parameters", "dtype"]);
    const file = readFileSync(path("small.gguf"));
    expect(found).toMatchObject({ file: "small.gguf", bytes: file.byteLength, tensors: 21 });
    const { code, stdout, stderr } = await nextpatch(...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^export: 100%, \d/) });
    expect(stdout).toMatch(/^small\.gguf: \d.* MB, 21 tensors, 0\.\d+ M parameters in (F32|BF16)\n$/);
    expect(readFileSync(path("small.gguf")).equals(file)).toBe(true);
    const bare = await nextpatch("export", "--model", "data", "--format", "gguf", "--out", "bare.gguf");
    expect(bare).toMatchObject({ code: 1, stdout: "" });
    expect(bare.stderr).toMatch(/^nextpatch: data\/config\.json: expected a model's configuration but received .*\n$/);
    rmSync(path("runs/small/model/tokenizer.json"));
    const mute = await nextpatch(...args);
    expect(mute).toMatchObject({ code: 2, stdout: "" });
    expect(mute.stderr).toBe(
      "nextpatch: --model: expected a model folder with its tokenizer.json but received runs/small/model, which has none\n",
    );
    copyFileSync(path("data/tokenizer.json"), path("runs/small/model/tokenizer.json"));
  });

  it("export --format hf writes a folder that eval reads, and says what is in it", async () => {
    const args = ["export", "--model", "runs/small/model", "--format", "hf", "--dtype", "f16", "--out", "small-f16"];
    const found = await json(...args, "--max-shard-size", "100KB");
    expect(Object.keys(found)).toEqual(["folder", "bytes", "tensors", "parameters"]);
    expect(readdirSync(path("small-f16"))).toContain("model.safetensors.index.json");
    const data = ["--data", "data/val_*.bin", "--sequence-length", "32", "--precision", "fp32", "--device", "cpu"];
    const losses = ["runs/small/model", "small-f16"].map((model) => json("eval", "--model", model, ...data));
    const [before, after] = await Promise.all(losses);
    expect(after!.loss as number).toBeCloseTo(before!.loss as number, 3);
    const { stdout } = await nextpatch(...args);
    expect(stdout).toMatch(/^small-f16: \d.* MB, 21 tensors, 0\.\d+ M parameters\n$/);
    const other = await nextpatch(...args.slice(0, -1), "data");
    expect(other).toMatchObject({ code: 2, stdout: "" });
    expect(other.stderr).toMatch(/^nextpatch: data: expected a new folder, .* but received a folder that holds \S+\n$/);
  });

  it("bench train prints the agreed keys", async () => {
    const flags = ["--sequence-length", "32", "--tokens-per-step", "256", "--steps", "2", "--device", "cpu"];
    const layers = { num_hidden_layers: 1, num_attention_heads: 2 };
    const model = { hidden_size: 64, intermediate_size: 96, vocab_size: 300, ...layers };
    const found = await json("bench", "train", "--model", JSON.stringify(model), "--patch-size", "4", ...flags);
    expect(Object.keys(found)).toEqual(["tokensPerSecond", "positionsPerSecond", "secondsPerStep", "mfu", "peakBytes"]);
    expect(Object.values(found).every((value) => typeof value === "number" && value > 0)).toBe(true);
  });

  it("bench kernels prints the agreed keys", async () => {
    // cpu's shapes take a quarter of a minute, and more beside other tests.
    const device = backends().some(({ name, available }) => name === "simt" && available) ? "simt" : "cpu";
    const found = await json<KernelBenchResult>("bench", "kernels", "--device", device, "--precision", "fp32");
    expect(Object.keys(found)).toEqual(["device", "backend", "dtype", "ceilings", "kernels"]);
    expect(found).toMatchObject({ backend: device, dtype: "f32" });
    expect(Object.keys(found.ceilings)).toEqual(["bytesPerSecond", "flopsPerSecond"]);
    expect(new Set(found.kernels.map(({ name }) => name)).size).toBe(25);
    for (const kernel of found.kernels) {
      const { name, bytes, seconds, bound } = kernel;
      expect(Object.keys(kernel)).toEqual([
        "name",
        "shape",
        "seconds",
        "bytes",
        "flops",
        "bytesPerSecond",
        "flopsPerSecond",
        "fractionOfCeiling",
        "bound",
      ]);
      expect([name, bytes > 0, kernel.bytesPerSecond * seconds]).toEqual([name, true, expect.closeTo(bytes, 3)]);
      expect(["memory", "compute"]).toContain(bound);
    }
  });

  it("train goes back to a checkpoint with other keys, and says what is wrong with its flags", async () => {
    const train = (...flags: string[]) => nextpatch("train", "config.yaml", "--set", "out=runs/back", ...flags);
    const often = ["--set", "checkpoint={everySteps: 4, keep: 9}"];
    expect(await train("--resume=auto", ...often)).toMatchObject({ code: 0 });
    const auto = await train("--resume=auto", ...often);
    expect(auto).toMatchObject({ code: 0 });
    expect(auto.stderr).toMatch(/going on from .*step-00000012: step 12 of 12/);
    const slower = ["--resume", "--from", "step-8", "--set", "optimizer.lr=1e-4"];
    const back = await train(...slower, ...often, "--json");
    expect(back.stderr).toMatch(/optimizer\.lr: \S+ up to step 8, then 0\.0001\n/);
    expect(JSON.parse(back.stdout)).toMatchObject({ steps: 12, skippedUpdates: 0 });
    expect(readdirSync(path("runs/back/abandoned/0001")).sort()).toEqual([
      "checkpoints",
      "metrics.jsonl",
      "model",
      "note.json",
    ]);
    for (const [flags, says] of [
      [["--from", "step-8"], /--from: expected --resume with it but received none/],
      [["--resume=auto", "--from", "step-8"], /--from: expected --resume with it but received none/],
      [["--resume", "--force"], /--force: expected --from with it but received none/],
      [["--resume", "--from", "8"], /--from: expected a checkpoint's name, such as step-400, but received "8"/],
      [["--resume", "--from", "step-8", "--set", "seed=5"], /--from: seed, init\.seed: expected .* --force goes on/],
      [["--resume=perhaps"], /unknown option '--resume=perhaps'/],
    ] as const) {
      const { code, stdout, stderr } = await train(...flags);
      expect(complaint(stderr)).toMatch(says);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    }
  });

  it("files that are cut short end in one line", async () => {
    await writeShard(
      path("cut.bin"),
      Array.from({ length: 400 }, (_, index) => index % 300),
    );
    truncateSync(path("cut.bin"), 1500);
    const evaluated = await nextpatch("eval", "--model", "runs/small/model", "--data", "cut.bin");
    expect(evaluated).toMatchObject({ code: 1, stdout: "" });
    expect(complaint(evaluated.stderr)).toMatch(/^nextpatch: cut\.bin: expected .*: the file is cut short\n$/);
    await nextpatch("train", "config.yaml", "--set", "out=runs/cut", "--set", "train.steps=2");
    truncateSync(path("runs/cut/model/model.safetensors"), 20000);
    const generated = await nextpatch("generate", "--model", "runs/cut/model", "--prompt", "The");
    expect(generated).toMatchObject({ code: 1, stdout: "" });
    expect(complaint(generated.stderr)).toMatch(/^nextpatch: runs\/cut\/model\/model\.safetensors: .*\n$/);
    writeFileSync(path("runs/cut/model/config.json"), "{");
    const configless = await nextpatch("generate", "--model", "runs/cut/model", "--prompt", "The");
    expect(configless).toMatchObject({ code: 1, stdout: "" });
    expect(complaint(configless.stderr)).toMatch(/^nextpatch: runs\/cut\/model\/config\.json: .*\n$/);
  });
});
