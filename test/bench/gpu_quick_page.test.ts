/** What bench/gpu.sh quick makes of its steps' output: the readers, and the page. */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "@jest/globals";
import { summarize } from "../../bench/gpu/quick/clocks.js";
import { script } from "../../bench/gpu/quick/commands.js";
import { attentionOccupancy } from "../../bench/gpu/quick/occupancy.js";
import { operationNames } from "../../bench/gpu/quick/operation_names.js";
import { page } from "../../bench/gpu/quick/page.js";
import { gpuKeys, lastJson, readGpu, readKernels, readNsys, readTests } from "../../bench/gpu/quick/read.js";
import type { QuickResult, QuickStep } from "../../bench/gpu/quick/result.js";
import { stepModel } from "../../docs/cuda_model.js";
import { parseLlamaConfig } from "../../lib/hf/config.js";
import { presets } from "../../lib/hf/presets.js";

describe("the readers", () => {
  it("take whole lines of JSON, whatever else is printed", () => {
    expect(lastJson('text\n{"a": 1}\n{"a": 2}\nmore\n{"a": 3')).toEqual({ a: 2 });
    expect(lastJson("")).toBeNull();
  });

  it("put together kernels that came one by one", () => {
    expect(readKernels("")).toBeNull();
    expect(readKernels('{"device":"d"}\n{"name":"a"}\n{"name":"b"}\n{"na')).toEqual({
      device: "d",
      kernels: [{ name: "a" }, { name: "b" }],
    });
  });

  it("add up files of tests", () => {
    const file = (name: string, passed: number, failures: object[]) =>
      `${JSON.stringify({ file: name, passed, skipped: 1, failures })}\n`;
    const failure = { name: "adds", message: "no" };
    expect(readTests(file("a", 2, []) + file("b", 3, [failure]))).toEqual({
      files: 2,
      passed: 5,
      failed: 1,
      skipped: 2,
      failures: [failure],
    });
    expect(readTests("")).toBeNull();
  });

  it("name nvidia-smi's columns", () => {
    expect(readGpu("NVIDIA H100, 9.0, 580.1, 81559 MiB, 700.00 W, 1980 MHz, 2619 MHz\n")).toMatchObject({
      name: "NVIDIA H100",
      compute_cap: "9.0",
      "clocks.max.mem": "2619 MHz",
    });
    expect(readGpu("no devices")).toBeNull();
    expect(gpuKeys).toHaveLength(7);
  });

  it("find nsys's sums behind what it says", () => {
    const text =
      'Processing [a.sqlite] with [sum.py]...\n[\n {"Time (%)": 60, "Total Time (ns)": 3000, "Instances": 2, "Name": "k"}\n]\n';
    expect(readNsys(text)).toEqual([{ kernel: "k", calls: 2, seconds: 3e-6 }]);
    expect(readNsys("")).toBeNull();
  });
});

describe("summarize", () => {
  it("takes samples in which the GPU was at work", () => {
    const samples = [
      "300, 2619, 70.0, 30, 0",
      "1980, 2619, 650.5, 50, 100",
      "1755, 2619, 690.5, 55, 99",
      "1755, 2619, [N/A], 55, 99",
    ];
    expect(summarize(samples.join("\n"))).toEqual({
      samples: 2,
      smMHz: { least: 1755, median: 1980, most: 1980 },
      memoryMHz: 2619,
      watts: { mean: 671, most: 690.5 },
      celsius: 55,
    });
  });

  it("has nothing to say of an idle GPU, or of none", () => {
    expect(summarize("300, 2619, 70.0, 30, 0\n")).toBeNull();
    expect(summarize("")).toBeNull();
  });
});

it("attentionOccupancy sets what the driver says beside what was counted", () => {
  const kernel = (name: string, rest: object) =>
    JSON.stringify({ kernel: `void nextpatch::cuda::(anonymous namespace)::${name}(int)`, threads: 128, ...rest });
  const reported = [
    kernel("attention_forward_kernel<64, 0>", { sharedBytes: 1, blocks: 3, registers: 168, binary: 90 }),
    kernel("attention_forward_kernel<64, 0>", { sharedBytes: 1, blocks: 3, registers: 168, binary: 90 }),
    kernel("attention_dq_kernel<128, 0>", { sharedBytes: 2 }),
    kernel("attention_dq_wgmma_kernel<(int)128>", { threads: 384, sharedBytes: 3, blocks: 1, registers: 164 }),
    kernel("rotary_kernel", { sharedBytes: 0, blocks: 16 }),
  ].join("\n");
  const counted = [
    "kernel  capability  threads  blocks  warps",
    "attention_forward_kernel<64, 0>   8.0  128  3  11",
    "attention_forward_kernel<64, 0>   9.0  128  3  12",
    "attention_dq_wgmma_kernel<128>    9.0  164  3  12",
    "attention_dq_wgmma_kernel<128>  sm_90a  164  0  0  0",
  ].join("\n");
  const rows = attentionOccupancy(reported, counted, "9.0");
  expect(rows.map((row) => [row.kernel, row.warps, row.countedWarps])).toEqual([
    ["attention_dq_kernel<128, 0>", null, null],
    ["attention_dq_wgmma_kernel<128>", 12, 12],
    ["attention_forward_kernel<64, 0>", 12, 12],
  ]);
});

it("a step's operations have the names that the model on paper gives them", () => {
  const config = parseLlamaConfig(presets["llama-370m"], "model");
  const nameOf = operationNames(config);
  const weights = [
    [3 * 1024, 1024],
    [1024, 1024],
    [2 * 2752, 1024],
    [1024, 2752],
    [32000, 1024],
  ];
  const products = weights.flatMap((shape) => [
    nameOf("matmul", [{ shape: [] }, {}, { shape }, false, true]),
    nameOf("matmul", [{ shape: [] }, {}, { shape }, false, false]),
    nameOf("matmul", [{ shape }, {}, { shape: [] }, true, false]),
  ]);
  const others = [
    "patchEmbeddingForward",
    "patchEmbeddingBackward",
    "attentionForward",
    "attentionBackward",
    "rmsNormForward",
    "rmsNormBackward",
    "rotary",
    "swigluForward",
    "swigluBackward",
    "crossEntropy",
    "fill",
    "gradNorm",
    "adamw",
  ].map((name) => nameOf(name, []));
  const paper = stepModel("llama-370m", 1).rows.map(({ name }) => name);
  expect([...products, ...others].sort()).toEqual(paper.sort());
  expect(nameOf("patchLabels", [])).toBe("patchLabels");
});

it("every operation of a real step is found on paper, but for those that it leaves out", () => {
  const model = {
    vocab_size: 96,
    hidden_size: 64,
    intermediate_size: 80,
    num_hidden_layers: 1,
    num_attention_heads: 2,
  };
  const { program, args, env } = script("operations", ["cpu", JSON.stringify(model), 1, 8, 16], {
    NEXTPATCH_GRAPHS: "0",
  });
  const { stdout, stderr } = spawnSync(program, args, { encoding: "utf8", env: { ...process.env, ...env } });
  const found = lastJson(stdout) as { operations: { name: string }[] } | null;
  if (found === null) throw new Error(stderr);
  const paper = new Set(stepModel("llama-370m", 1).rows.map(({ name }) => name));
  const names = new Set(found.operations.map(({ name }) => name));
  const leftOut = ["copy", "labelCoefficients", "patchLabels", "sum"];
  expect([...names].filter((name) => !paper.has(name)).sort()).toEqual(leftOut);
  expect([...paper].filter((name) => !names.has(name))).toEqual([]);
});

function step(phase: string, name: string, rest: Partial<QuickStep> = {}): QuickStep {
  const date = "2026-02-02T10:00:00.000Z";
  return { phase, name, outcome: "passed", seconds: 3.2, limit: 10, date, revision: "abc", ...rest };
}

const clocks = {
  samples: 9,
  smMHz: { least: 1500, median: 1700, most: 1980 },
  memoryMHz: 2619,
  watts: { mean: 650, most: 700 },
  celsius: 60,
};
const gpu = Object.fromEntries(gpuKeys.map((key) => [key, `<${key}>`]));
const paper = stepModel("llama-370m", 4, 2 ** 17);
const trained = {
  model: "llama-370m",
  patchSize: 4,
  tokens: 2 ** 17,
  tokensPerSecond: 800_000,
  positionsPerSecond: 200_000,
  secondsPerStep: 0.1638,
  mfu: 0.376,
  peakBytes: 40 * 2 ** 30,
};
const operations = {
  model: "llama-370m",
  patchSize: 1,
  tokens: 2 ** 15,
  operations: [
    { name: "attention: backward", calls: 24, seconds: 0.064 },
    { name: "patchLabels", calls: 1, seconds: 0.001 },
  ],
};
const result: QuickResult = {
  device: "NVIDIA H100 80GB HBM3",
  backend: "cuda",
  date: "2026-02-02T09:59:00.000Z",
  revision: "abc",
  steps: [
    step("device", "gpu", { result: gpu }),
    step("tests", "operations", {
      outcome: "failed",
      reason: "cut off",
      result: { files: 3, passed: 40, failed: 1, skipped: 2, failures: [{ name: "matmul: adds", message: "x" }] },
    }),
    step("train", "llama-370m-4", { result: trained, clocks }),
    step("train", "llama-2.7b-4", { outcome: "failed", reason: "exit code 1", output: "out of memory" }),
    step("operations", "operations-llama-370m", { result: operations }),
    step("operations", "nsys", { outcome: "skipped", reason: "nsys is not on the PATH" }),
    step("kernels", "gemm-candidates", {
      result: {
        products: [
          { M: 8, N: 16, K: 32, op: "TN", flops: 8e9, seconds: [2e-5, null, 1e-5, 4e-5] },
          { M: 8, N: 16, K: 32, op: "NN", flops: 8e9, seconds: [null, 1e-5] },
          { M: 8, N: 16, K: 32, op: "NT", flops: 8e9, seconds: [null] },
        ],
      },
    }),
    step("tune", "tune", { result: { products: [{}, {}], firstSeconds: 0.2, seconds: 0.19 } }),
    step("tune", "llama-370m-4-tuned", { result: { ...trained, model: "llama-370m, tuned" } }),
    step("bits", "same-bits", {
      date: "2026-01-01T08:00:00.000Z",
      revision: "old",
      result: { steps: 20, interruptedAfter: 7, equal: false, hashes: { once: "aa", again: "bb" } },
    }),
    step("ptx", "ptx-attention", {
      result: { files: 1, passed: 42, failed: 0, skipped: 0, failures: [], warpgroups: { compared: 9, changed: [] } },
    }),
    step("large", "large", { result: { copy: true, rotary: false } }),
    step("pytorch", "pytorch-4", { result: { tokensPerSecond: 500_000, compile: false, torch: "2" } }),
    step("fault", "fault", { result: { heard: [{ name: "DeviceError", message: "cuda:0: lost" }] } }),
  ],
};

describe("the page", () => {
  const lines = page(result).split("\n");
  const row = (beginning: string) => lines.find((line) => line.startsWith(beginning));

  it("says what was measured, on what, and what was not, and why", () => {
    expect(lines[0]).toBe("# NVIDIA H100 80GB HBM3");
    expect(lines[2]).toMatch(/^Measured 2026-02-02 09:59 UTC; source abc; compute capability <compute_cap>; driver/);
    expect(lines).toContain("Of 14 steps 11 passed, 2 failed, 1 were not run.");
    expect(lines).toContain("- **llama-2.7b-4 failed: exit code 1**");
    expect(lines).toContain("- not measured: nsys is not on the PATH: nsys");
    expect(lines).toContain("- operations: 40 tests passed, 1 failed, 2 were skipped; files: 3 (not all of them)");
    expect(lines).toContain("  - matmul: adds");
  });

  it("has the step on paper beside the step, with clocks, power and PyTorch", () => {
    const [milliseconds, mfu] = [paper.milliseconds.toPrecision(4), (100 * paper.mfu).toFixed(1)];
    expect(row("| llama-370m | 4 |")).toBe(
      `| llama-370m | 4 | 131072 | 800000 | 163.8 | ${milliseconds} | 37.6 % | ${mfu} % | 40.0 | ` +
        "1700 (1500 to 1980) | 650 (700) | 1.60 |",
    );
  });

  it("has every operation beside the same on paper", () => {
    const onPaper = stepModel("llama-370m", 1, 2 ** 15).rows.find(({ name }) => name === "attention: backward")!;
    const ratio = (64 / onPaper.milliseconds).toFixed(2);
    expect(row("| attention: backward |")).toBe(
      `| attention: backward | 24 | 64.00 | ${onPaper.milliseconds.toPrecision(4)} | ${ratio} | 98.5 % |`,
    );
    expect(row("| patchLabels |")).toBe("| patchLabels | 1 | 1.000 | – | – | 1.5 % |");
  });

  it("has the best of the candidates beside the first", () => {
    expect(row("| 8 x 16 x 32 TN |")).toBe("| 8 x 16 x 32 TN | 20.0 | 10.0 | 800 | 2 | 100.0 % | 3 |");
    expect(row("| 8 x 16 x 32 NN |")).toBe("| 8 x 16 x 32 NN | – | 10.0 | 800 | 1 | – | 1 |");
    expect(row("| 8 x 16 x 32 NT |")).toBeUndefined();
  });

  it("has what tuned products take, and a step with them beside the others", () => {
    expect(row("`nextpatch tune` for llama-370m, 2 products:")).toMatch(
      / 200\.0 ms .* 190\.0 ms .* \(5\.0 % less\)\.$/,
    );
    expect(row("| llama-370m, tuned | 4 | 131072 |")).toContain("| 163.8 | – | 37.6 % | – | 40.0 |");
  });

  it("says whether a warpgroup's products give the bits of each warp's own", () => {
    expect(lines).toContain("  - 9 of them compared with machine code: the same bits");
    const changed = { files: 1, passed: 9, failed: 0, skipped: 0, failures: [] };
    const warpgroups = { compared: 9, changed: ["attention on cuda"] };
    const other = page({ ...result, steps: [step("ptx", "ptx-attention", { result: { ...changed, warpgroups } })] });
    expect(other.split("\n")).toEqual(
      expect.arrayContaining([
        "  - 9 of them compared with machine code: **1 have other bits**",
        "  - attention on cuda",
      ]),
    );
  });

  it("says when bits differ, numbers are wrong, and what a fault's message was", () => {
    expect(lines).toContain("The same 20 steps 2 times (resumed: after 7): **different bits**: once aa, again bb");
    expect(lines).toContain("Tensors of more than 2^31 elements, 2 operations: **wrong: rotary**");
    expect(lines).toContain("A provoked fault: DeviceError: cuda:0: lost");
  });

  it("has every step at its end, and of which run it is", () => {
    expect(row("| operations | nsys |")).toBe("| operations | nsys | skipped | 3 of 10 | nsys is not on the PATH |");
    expect(row("| bits | same-bits |")).toBe(
      "| bits | same-bits | passed | 3 of 10 | 2026-01-01 08:00 UTC, source old |",
    );
  });

  it("does not pass off the simulated device", () => {
    const simulated = page({ ...result, device: "host (simt)", backend: "simt" });
    expect(simulated).toContain("No time here means anything.");
    expect(simulated).not.toContain("Expected is what");
  });
});
