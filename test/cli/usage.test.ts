/** What commands print to stdout and stderr, and their exit codes. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { describe, expect, it, test } from "@jest/globals";
import { backends } from "../../lib/device.js";
import { builtCommand, complaint } from "../support/built.js";

const nextpatch = builtCommand();

const commands = [
  ["prepare"],
  ["train"],
  ["eval"],
  ["generate"],
  ["compare"],
  ["export"],
  ["bench"],
  ["bench", "train"],
  ["bench", "kernels"],
  ["tune"],
  ["plan"],
  ["info"],
];

describe("nextpatch", () => {
  it("lists its commands, and tells its version", async () => {
    const help = await nextpatch("--help");
    expect(help).toMatchObject({ code: 0, stderr: "" });
    for (const [name] of commands) expect(help.stdout).toContain(`\n  ${name}`);
    expect((await nextpatch("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const bare = await nextpatch();
    expect(bare).toMatchObject({ code: 2, stdout: "" });
    expect(bare.stderr).toContain("Usage: nextpatch");
  });

  it.each(commands)("explains %s %s", async (...words) => {
    const { code, stdout, stderr } = await nextpatch(...words.filter((word) => word !== undefined), "--help");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("Usage: nextpatch ");
    expect(stdout).toContain("--json");
    expect(stdout).not.toContain("(default: [])");
  });

  it.each([
    { args: ["trian"], says: /unknown command 'trian' \(Did you mean train\?\)/ },
    { args: ["train", "c.yaml", "--resum"], says: /unknown option '--resum' \(Did you mean --resume\?\)/ },
    { args: ["train"], says: /missing required argument 'config'/ },
    { args: ["train", "none.yaml"], says: /none\.yaml: expected a run config but received a file that does not exist/ },
    { args: ["train", "c.yaml", "extra"], says: /too many arguments/ },
    { args: ["eval", "--data", "x.bin"], says: /required option '--model <dir>' not specified/ },
    {
      args: ["eval", "--model", "none", "--data", "x.bin"],
      says: /--model: expected a model folder but received none, which does not exist/,
    },
    { args: ["eval", "--model", "m", "--data", "x.bin", "--patch-size", "0"], says: /--patch-size.*'0' .*at least 1/ },
    { args: ["generate", "--model", "m", "--prompt", "a", "--top-p", "2"], says: /--top-p.*'2' .*from 0 to 1/ },
    { args: ["generate", "--model", "m", "--prompt", "a", "--device", "gpu"], says: /--device.*expected auto, cpu/ },
    { args: ["export", "--model", "m", "--format", "ggml", "--out", "m.gguf"], says: /'ggml' .*choices are gguf, hf/ },
    { args: ["export", "--model", "m", "--out", "m.gguf"], says: /required option '--format <format>' not specified/ },
    {
      args: ["export", "--model", "none", "--format", "gguf", "--out", "m.gguf"],
      says: /--model: expected a model folder but received none, which does not exist/,
    },
    {
      args: ["export", "--model", ".", "--format", "hf", "--dtype", "q8_0", "--out", "m"],
      says: /^nextpatch: --dtype: expected f32, f16 or bf16 with --format hf but received q8_0$/m,
    },
    {
      args: ["export", "--model", ".", "--format", "hf", "--max-shard-size", "2", "--out", "m"],
      says: /--max-shard-size.*'2' .*expected a size such as 2GB or 500MB/,
    },
    {
      args: ["info", "--device", "cpu"],
      says: /--config: expected a config for device=cpu to change but received nothing/,
    },
    {
      args: ["info", "--config", "none.yaml", "--device", "gpu"],
      says: /none\.yaml: expected a run config but received a file that does not exist/,
    },
    { args: ["info", "--config"], says: /option '--config <file>' argument missing/ },
    {
      args: ["prepare", "a.txt", "--out", "d", "--train-tokenizer", "9"],
      says: /^nextpatch: --train-tokenizer: expected a whole number from 257 to 262144 but received 9$/m,
    },
    {
      args: ["prepare", "a.txt", "--out", "d", "--train-tokenizer", "300", "--val-fraction", "1"],
      says: /^nextpatch: --val-fraction: expected a number from 0 to below 1 but received 1$/m,
    },
    {
      args: ["generate", "--model", ".", "--prompt", "a"],
      says: /^nextpatch: --model: expected a model folder with its tokenizer\.json but received \., which has none$/m,
    },
    {
      args: ["bench", "train", "--model", "tiny", "--micro-batch", "3"],
      says: /^nextpatch: --micro-batch: expected auto or a divisor of the 64 sequences of a step but received 3$/m,
    },
    { args: ["bench", "train", "--model", "huge"], says: /--model: expected tiny.*but received "huge"/ },
    { args: ["bench", "train", "--model", "{"], says: /--model: expected JSON but received other text: / },
    {
      args: ["bench", "train", "--model", "tiny", "--patch-size", "3"],
      says: /--tokens-per-step: expected a multiple of .* = 768 but/,
    },
    {
      args: ["bench", "train", "--model", '{"preset": "tiny", "head_dim": 17}'],
      says: /^nextpatch: --model: head_dim: expected one of 16, .* but received 17$/m,
    },
    {
      args: ["bench", "train", "--model", "tiny", "--sequence-length", "4096"],
      says: /^nextpatch: --sequence-length: expected at most model\.max_position_embeddings \(2048\) but received 4096$/m,
    },
  ])("ends with 2 and one line on wrong usage: $args", async ({ args, says }) => {
    const { code, stdout, stderr } = await nextpatch(...args);
    expect(stderr).toMatch(says);
    expect(complaint(stderr)).toMatch(/^nextpatch: .*\n$/);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  it("tells all problems of a config at once, a line each, with the nearest key", async () => {
    const model = "{ preset: tiny, num_hiden_layers: 2 }";
    writeFileSync(
      nextpatch.path("wrong.yaml"),
      `name: w\nmodel: ${model}\ndata: { train: x.bin }\nbatch: { tokensPerStep: 100, sequenceLenght: 8 }\n` +
        "train: { steps: -1 }\noptimzer: { lr: 1 }\n",
    );
    const { code, stdout, stderr } = await nextpatch("train", "wrong.yaml", "--set", "precision=fp16");
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    for (const problem of [
      /model\.num_hiden_layers: unknown key; did you mean num_hidden_layers\?/,
      /batch\.sequenceLenght: unknown key; did you mean sequenceLength\?/,
      /train\.steps: expected a number of at least 1 but received -1/,
      /optimzer: unknown key; did you mean optimizer\?/,
      /precision: expected auto, bf16 or fp32 but received "fp16"/,
    ]) {
      expect(stderr).toMatch(problem);
    }
  });

  it("ends with 1 and one line on a failure, with the stack where it is asked for", async () => {
    writeFileSync(nextpatch.path("short.bin"), Buffer.alloc(100));
    const data = "{ train: short.bin }";
    writeFileSync(
      nextpatch.path("run.yaml"),
      `name: r\nmodel: { preset: tiny }\ndata: ${data}\nbatch: { tokensPerStep: 512, sequenceLength: 32 }\n` +
        "train: { steps: 1 }\ndevice: cpu\n",
    );
    const failed = await nextpatch("train", "run.yaml", "--json");
    expect(failed).toMatchObject({ code: 1, stdout: "" });
    expect(failed.stderr).toMatch(/short\.bin: expected a token shard, .* but received a file of 100\n$/);
    expect(failed.stderr).not.toContain("    at ");
    const verbose = await nextpatch("train", "run.yaml", "--verbose");
    expect(verbose).toMatchObject({ code: 1, stdout: "" });
    expect(verbose.stderr).toContain("    at ");
  });

  it("does not compute elsewhere where there is no GPU", async () => {
    if (backends().find(({ name }) => name === "cuda")?.available) return;
    const args = ["bench", "train", "--model", "tiny", "--device", "cuda"];
    const { code, stdout, stderr } = await nextpatch(...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^nextpatch: .*cuda.*\n$/);
  });
});

describe("nextpatch info", () => {
  it("tells what there is, and why the rest is not", async () => {
    const { code, stdout, stderr } = await nextpatch("info");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^cpu: .*oneDNN \d/m);
    const json = await nextpatch("info", "--json");
    expect(json.stdout.trimEnd()).not.toContain("\n");
    type Found = { backends: { name: string; available: boolean; problem: string | null }[] };
    const found = JSON.parse(json.stdout) as Found;
    expect(found.backends.map(({ name }) => name).sort()).toEqual(["cpu", "cuda", "simt"]);
    expect(found).toMatchObject({ plan: null, node: process.version });
    expect(stdout).toMatch(
      /^ {2}cpu: .* GiB(, bf16)?, runs machine code for \w+ \((measured: .+|the project has not measured it)\)$/m,
    );
    for (const { name, available, problem } of found.backends) {
      expect(available).toBe(problem === null);
      if (!available) expect(stdout).toContain(`${name}: not available: ${problem}`);
    }
  });
});

it("in a current folder that was deleted, says so", () => {
  const script = 'mkdir "$1" && cd "$1" && rmdir "$1" && exec "$2" "$3" --help';
  const args = [nextpatch.path("gone"), process.execPath, nextpatch.path("dist/cli/main.js")];
  const { status, stdout, stderr } = spawnSync("sh", ["-c", script, "sh", ...args], { encoding: "utf8" });
  expect({ status, stdout, stderr }).toEqual({
    status: 1,
    stdout: "",
    stderr: "nextpatch: expected a current folder but received one that was deleted; go to another (cd)\n",
  });
});

test("the library's modules can be imported by their path, with their names", () => {
  const program = 'import { native } from "./dist/native.js"; console.log(typeof native.backends)';
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    cwd: nextpatch.path("."),
    encoding: "utf8",
  });
  expect({ stdout, stderr }).toEqual({ stdout: "function\n", stderr: "" });
});
