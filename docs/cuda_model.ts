/**
 * Writes docs/cuda-model.md: a training step on paper, `npm run cuda-model`. Every operation of a step with its bytes and
 * FLOPs (counted in lib/bench/kernels/cost.ts), what it would take on an H100, and the MFU that follows.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { costs } from "../lib/bench/kernels/cost.js";
import type { KernelTiming } from "../lib/bench/kernels/run.js";
import { parseLlamaConfig } from "../lib/hf/config.js";
import type { LlamaConfig } from "../lib/hf/llama_config.js";
import { parameterCount } from "../lib/hf/names.js";
import { type PresetName, presets } from "../lib/hf/presets.js";
import { trainingFlops } from "../lib/nn/flops.js";
import { widths } from "../lib/nn/shape.js";
import { muonSection, muonStepPositions } from "./muon_model.js";

/** What is assumed of the device: an H100 SXM5 (NVIDIA H100 data sheet). */
const peakFlops = 989e12;
const peakBytes = 3.35e12;
/** Share of the bandwidth that a streaming kernel reaches. */
const bandwidthShare = 0.85;
/** Share of the peak that cuBLASLt's bf16 products of these shapes reach; the smaller models' products are narrower. */
const gemmShare: Readonly<Partial<Record<PresetName, number>>> = {
  "llama-370m": 0.55,
  "llama-780m": 0.55,
  "llama-1.3b": 0.6,
  "llama-2.7b": 0.6,
};
/** Share of the peak that attention with mma.sync reaches, forward and backward: it has no wgmma. */
const attentionShare = { forward: 0.35, backward: 0.26 };
/** Seconds a kernel takes at least, with the gap to the next one in a graph. */
const launchSeconds = 2.5e-6;

const positions = 32768;
const T = 2048;
const bf16 = 2;

/**
 * Shared-memory loads (`ldmatrix` of four 8 x 8 tiles) and products (`mma`) of a warp's step over 16 queries in dK
 * and dV, by head dimension: with one warp for 16 keys, and as it is, with two warps that share 32 keys.
 */
const keyGradientLoads: Readonly<Record<number, { products: number; before: number; now: number }>> = {
  80: { products: 160, before: 90, now: 50 },
  96: { products: 192, before: 108, now: 72 },
  128: { products: 128, before: 80, now: 48 },
};
/** Cycles of a multiprocessor: a load moves 512 bytes at 128 a cycle, `mma.sync` reaches two thirds of the peak. */
const cycles = { load: 4, product: 1.5 };
/** dK and dV are four of the backward's seven products. */
const keyGradientShare = 4 / 7;

/** A change of the kernels that the page weighs: the step without it is modelled beside the step as it is. */
interface Change {
  readonly name: string;
  readonly without: "rotary" | "zeroing" | "loads";
}

const changes: readonly Change[] = [
  { name: "the inverse rotary embedding in the epilogue of dq and dk", without: "rotary" },
  { name: "the first micro-batch writes gradients instead of adding to zeros", without: "zeroing" },
  { name: "two warps share 32 keys in dK and dV (head dimensions from 80)", without: "loads" },
];

/** One operation of a step. */
interface Row {
  readonly name: string;
  /** Times in a micro-batch, or in a step if `perStep`. */
  readonly count: number;
  readonly perStep?: boolean;
  readonly bytes: number;
  readonly flops: number;
  readonly rate: "memory" | "gemm" | "forward" | "backward";
  /** Times that its arithmetic takes longer than at its rate; 1 if left out. */
  readonly slower?: number;
}

/** How much longer the attention's backward takes because dK and dV wait for shared memory. */
function keyGradientDelay(headDim: number, without: readonly Change["without"][]): number {
  const loads = keyGradientLoads[headDim];
  if (!loads) return 1;
  const { products, before, now } = loads;
  const shared = cycles.load * (without.includes("loads") ? before : now);
  return 1 + keyGradientShare * Math.max(0, shared / (cycles.product * products) - 1);
}

function rows(config: LlamaConfig, K: number, passes: number, without: readonly Change["without"][] = []): Row[] {
  const cost = costs(bf16);
  const { hidden: C, intermediate: I, queries, qkv } = widths(config);
  const { num_hidden_layers: layers, vocab_size: V, head_dim: D } = config;
  const [H, G, N, B] = [config.num_attention_heads, config.num_key_value_heads, positions, positions / T];
  const memory = (name: string, count: number, { bytes }: { bytes: number }, perStep = false): Row => {
    return { name, count, bytes, flops: 0, rate: "memory", perStep };
  };
  const product = (name: string, count: number, M: number, columns: number, inner: number): Row => {
    return { name, count, ...cost.matmul(M, columns, inner, { bytes: bf16, accumulate: false }), rate: "gemm" };
  };
  const writes = without.includes("zeroing") ? 0 : 1 / passes;
  const gradient = (name: string, count: number, M: number, columns: number): Row => {
    const [written, added] = [false, true].map((accumulate) => cost.matmul(M, columns, N, { bytes: 4, accumulate }));
    const bytes = writes * written!.bytes + (1 - writes) * added!.bytes;
    return { name, count, bytes, flops: added!.flops, rate: "gemm" };
  };
  const linear = (name: string, outputs: number, inputs: number): Row[] => [
    product(`${name}: forward`, layers, N, outputs, inputs),
    product(`${name}: dx`, layers, N, inputs, outputs),
    gradient(`${name}: dW`, layers, outputs, inputs),
  ];
  const parameters = parameterCount(config);
  const added = without.includes("zeroing") ? parameters : V * C + (2 * layers + 1) * C;
  const backward = cost.attentionBackward(B, T, H, G, D);
  return [
    memory("patch embedding: forward", 1, cost.patchEmbeddingForward(N, K, C, V)),
    memory("patch embedding: backward", 1, cost.patchEmbeddingBackward(N, K, C, V)),
    ...linear("qkv", qkv, C),
    ...linear("attention's output", C, queries),
    ...linear("gate and up", 2 * I, C),
    ...linear("down", C, I),
    { name: "attention: forward", count: layers, ...cost.attentionForward(B, T, H, G, D), rate: "forward" },
    { name: "attention: backward", count: layers, ...backward, rate: "backward", slower: keyGradientDelay(D, without) },
    memory("RMSNorm: forward", 2 * layers + 1, cost.rmsNormForward(N, C)),
    memory("RMSNorm: backward", 2 * layers + 1, cost.rmsNormBackward(N, C)),
    memory("rotary", (without.includes("rotary") ? 2 : 1) * layers, cost.rotary(B, T, H + G, D)),
    memory("SwiGLU: forward", layers, cost.swigluForward(N, I)),
    memory("SwiGLU: backward", layers, cost.swigluBackward(N, I)),
    product("head: forward", 1, N, V, C),
    product("head: dx", 1, N, C, V),
    gradient("head: dW", 1, V, C),
    memory("cross-entropy and its gradient", 1, cost.crossEntropy(N, K, V)),
    memory("zeroing gradients", 1, cost.fill(added), true),
    memory("gradient norm", 1, cost.gradNorm(parameters), true),
    memory("AdamW", 1, cost.adamw(parameters), true),
  ];
}

/** Seconds of one call. */
function secondsOf(row: Pick<Row, "bytes" | "flops" | "rate" | "slower">, preset: PresetName): number {
  const byMemory = row.bytes / (peakBytes * bandwidthShare);
  const share = { memory: 1, gemm: gemmShare[preset]!, ...attentionShare }[row.rate];
  return Math.max(byMemory, ((row.slower ?? 1) * row.flops) / (peakFlops * share)) + launchSeconds;
}

/** A step on paper. */
export interface StepModel {
  readonly preset: PresetName;
  readonly K: number;
  readonly rows: readonly (Row & { readonly milliseconds: number })[];
  readonly milliseconds: number;
  readonly mfu: number;
}

/** The presets that it can be computed for: those of the paper. */
export const modelled = Object.keys(gemmShare) as PresetName[];

/** A step of as many micro-batches of 32768 positions as its tokens make. */
export function stepModel(
  preset: PresetName,
  K: number,
  tokens = 2 ** 21,
  without: readonly Change["without"][] = [],
): StepModel {
  const config = parseLlamaConfig(presets[preset], preset);
  const passes = tokens / K / positions;
  const timed = rows(config, K, passes, without).map((row) => {
    const calls = row.count * (row.perStep ? 1 : passes);
    return { ...row, count: calls, milliseconds: 1e3 * calls * secondsOf(row, preset) };
  });
  const milliseconds = timed.reduce((sum, row) => sum + row.milliseconds, 0);
  const flops = passes * positions * trainingFlops(config, T, K);
  return { preset, K, rows: timed, milliseconds, mfu: flops / (milliseconds / 1e3) / peakFlops };
}

function table({ preset, K, rows: timed, milliseconds, mfu }: StepModel): string {
  const row = (each: StepModel["rows"][number]) =>
    `| ${each.name} | ${each.count} | ${(each.bytes / 1e6).toFixed(1)} | ${(each.flops / 1e9).toFixed(1)} | ` +
    `${each.milliseconds.toFixed(1)} | ${((100 * each.milliseconds) / milliseconds).toFixed(1)} |`;
  return [
    `## ${preset}, K = ${K}: ${milliseconds.toFixed(0)} ms a step, ${(100 * mfu).toFixed(0)} % MFU`,
    "",
    "| operation | calls a step | MB a call | GFLOP a call | ms a step | % |",
    "|---|---|---|---|---|---|",
    ...timed.map(row),
    "",
  ].join("\n");
}

/** What the step takes as it is, without each of the changes, and without any. */
function changesTable(): string {
  const row = (name: string, without: readonly Change["without"][]) => {
    const cells = modelled.map((preset) => {
      const { milliseconds, mfu } = stepModel(preset, 1, 2 ** 21, without);
      return `${milliseconds.toFixed(0)} (${(100 * mfu).toFixed(1)} %)`;
    });
    return `| ${name} | ${cells.join(" | ")} |`;
  };
  return [
    "## What the changes are worth",
    "",
    "Milliseconds of a step of 2^21 tokens at K = 1, and its MFU, on paper as above.",
    "",
    `| | ${modelled.join(" | ")} |`,
    `|---|${modelled.map(() => "---").join("|")}|`,
    row("as it is", []),
    ...changes.map(({ name, without }) => row(`without: ${name}`, [without])),
    row(
      "without any of them",
      changes.map(({ without }) => without),
    ),
    "",
    "What they save, counted:",
    "",
    "- The inverse rotary embedding: a launch a layer and micro-batch, and one reading and writing of dq and dk. The",
    "  forward stays a kernel of its own: the attention loads K once per tile of queries, and would turn it as often.",
    "- Gradients that are written: a step's zeroing of every product's gradient, and its reading in the first micro-batch.",
    "- dK and dV: " +
      Object.entries(keyGradientLoads)
        .map(([D, { products, before, now }]) => `${before} → ${now} \`ldmatrix\` for ${products} \`mma\` at D = ${D}`)
        .join(", ") +
      ".",
    `  A load takes ${cycles.load} cycles of a multiprocessor's shared memory, an \`mma\` ${cycles.product} of its tensor cores.`,
    "",
    "A second stream for the products of weights' gradients was tried and taken out. It was expected to hide SwiGLU's and",
    "RMSNorm's backward, at most 6.5 % of a step of llama-370m. On an H200 a step of 2^17 tokens took 652.5 ms with it and",
    "651.8 ms without (with attention on `mma.sync` 695.4 and 692.3 ms; 8 layers of width 512: 34.6 and 34.3 ms): the",
    "products alone fill the GPU and use up its power.",
    "",
  ].join("\n");
}

interface MeasuredStep {
  readonly tokens: number;
  readonly operations: readonly { readonly name: string; readonly seconds: number }[];
}

interface MeasuredKernels {
  readonly ceilings: { readonly bytesPerSecond: number; readonly flopsPerSecond: number };
  readonly kernels: readonly KernelTiming[];
}

/** The results of `bench/gpu.sh quick` on an H200: with attention on mma.sync, and as it is. */
const measurements = ["quick-nvidia-h200-before-wgmma", "quick-nvidia-h200"] as const;
type Measurement = (typeof measurements)[number];
/** Of an H200, whose peak is that of an H100 (NVIDIA H200 data sheet). */
const measuredPeakBytes = 4.8e12;

/** Head dimensions that had wgmma when the second one was made. */
const warpgroupHeadDims = [64, 128];

function resultOf<T>(measurement: Measurement, step: string): T {
  const text = readFileSync(new URL(`../bench/results/${measurement}.json`, import.meta.url), "utf8");
  const { steps } = JSON.parse(text) as { steps: readonly { name: string; result?: T }[] };
  return steps.find(({ name }) => name === step)!.result!;
}

interface Operations {
  readonly tokens: number;
  /** Milliseconds by name. */
  readonly of: ReadonlyMap<string, number>;
  readonly total: number;
}

/** A step by its operations. */
function measuredStep(measurement: Measurement, preset: PresetName): Operations {
  const { tokens, operations } = resultOf<MeasuredStep>(measurement, `operations-${preset}`);
  const of = new Map(operations.map(({ name, seconds }) => [name, 1e3 * seconds]));
  return { tokens, of, total: [...of.values()].reduce((sum, each) => sum + each, 0) };
}

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

/** What kinds of operations reached, beside what was assumed of them. */
function sharesTable(): string[] {
  const kinds: readonly { name: string; rate: Row["rate"]; assumed: (preset: PresetName) => number }[] = [
    { name: "products", rate: "gemm", assumed: (preset) => gemmShare[preset]! },
    { name: "attention, forward", rate: "forward", assumed: () => attentionShare.forward },
    { name: "attention, backward", rate: "backward", assumed: () => attentionShare.backward },
    { name: "streaming kernels, of the bandwidth", rate: "memory", assumed: () => bandwidthShare },
  ];
  const reached = (measurement: Measurement, preset: PresetName, rate: Row["rate"]): number => {
    const { tokens, of } = measuredStep(measurement, preset);
    const rows = stepModel(preset, 1, tokens).rows.filter((row) => row.rate === rate && of.has(row.name));
    const sum = (each: (row: Row) => number) => rows.reduce((total, row) => total + each(row), 0);
    const seconds = sum(({ name }) => of.get(name)! / 1e3);
    return rate === "memory"
      ? sum(({ count, bytes }) => count * bytes) / seconds / measuredPeakBytes
      : sum(({ count, flops }) => count * flops) / seconds / peakFlops;
  };
  const cells = (preset: PresetName, rate: Row["rate"]) =>
    measurements.map((measurement) => percent(reached(measurement, preset, rate)));
  const copied = resultOf<MeasuredKernels>("quick-nvidia-h200", "kernels").ceilings.bytesPerSecond;
  return [
    "Shares of the peak, of the FLOPs that count, in these steps:",
    "",
    "| model | | assumed for an H100 | H200, attention on `mma.sync` | H200, attention on `wgmma` |",
    "|---|---|---|---|---|",
    ...(["llama-370m", "llama-1.3b"] as const).flatMap((preset) =>
      kinds.map(({ name, rate, assumed }) => {
        return `| ${preset} | ${name} | ${percent(assumed(preset))} | ${cells(preset, rate).join(" | ")} |`;
      }),
    ),
    "",
    `The bandwidth is that of the data sheets; a copy of 1 GiB reached ${percent(copied / measuredPeakBytes)} of it.`,
  ];
}

/** Attention's kernels by themselves. */
function attentionTable(): string[] {
  const { kernels } = resultOf<MeasuredKernels>("quick-nvidia-h200", "kernels");
  const timed = (name: string): ReadonlyMap<string, KernelTiming> =>
    new Map(kernels.filter((kernel) => kernel.name === name).map((kernel) => [shapeOf(kernel), kernel]));
  const [forward, backward] = [timed("attention_forward"), timed("attention_backward")];
  const cells = ({ seconds, flops }: KernelTiming) =>
    `${(1e6 * seconds).toFixed(0)} | ${percent(flops / seconds / peakFlops)}`;
  return [
    "Attention by itself on the H200, causal, in microseconds, and its share of the peak.",
    `D = ${warpgroupHeadDims.join(" and ")} had \`wgmma\` in this measurement, others \`mma.sync\`.`,
    "",
    "| sequences x T | heads | D | forward | | backward | |",
    "|---|---|---|---|---|---|---|",
    ...[...forward].map(([shape, kernel]) => `| ${shape} | ${cells(kernel)} | ${cells(backward.get(shape)!)} |`),
  ];
}

function shapeOf({ shape: { B, T, H, G, D } }: KernelTiming): string {
  return `${B} x ${T} | ${H === G ? H : `${H} over ${G}`} | ${D}`;
}

/** One pass on paper and on an H200, with attention on mma.sync and with a warpgroup's products. */
function measuredTable(): string {
  const of = (preset: PresetName) => {
    const [before, now] = measurements.map((measurement) => measuredStep(measurement, preset));
    const paper = stepModel(preset, 1, now!.tokens);
    const row = (name: string, cells: readonly (number | undefined)[]) =>
      `| ${preset} | ${name} | ${cells.map((cell) => (cell === undefined ? "–" : cell.toFixed(1))).join(" | ")} |`;
    return [
      ...paper.rows.map(({ name, milliseconds }) => row(name, [milliseconds, before!.of.get(name), now!.of.get(name)])),
      row("**all**", [paper.milliseconds, before!.total, now!.total]),
    ];
  };
  return [
    "## Beside a measurement",
    "",
    "One step of 32768 tokens at K = 1, in ms: on paper for an H100, and on an H200, whose peak is the same and whose",
    "memory has 4.8 TB/s, without graphs, with events between the operations. The H200 was near its limit of 700 W. The two",
    "measurements were made on machines that were started anew; in the second, products took 3 to 10 % longer.",
    "",
    "| model | operation | paper | H200, attention on `mma.sync` | H200, attention on `wgmma` |",
    "|---|---|---|---|---|",
    ...of("llama-370m"),
    ...of("llama-1.3b"),
    "",
    ...sharesTable(),
    "",
    ...attentionTable(),
    "",
    "Whole steps are in [bench/results](../bench/results/quick-nvidia-h200.md).",
    "",
  ].join("\n");
}

/** The page, as it stands in docs/cuda-model.md. */
export function cudaModelPage(): string {
  const models = (["llama-370m", "llama-1.3b"] as const).flatMap((preset) => [
    stepModel(preset, 1),
    stepModel(preset, 4),
  ]);
  return [
    "# A training step on paper",
    "",
    "<!-- Written by `npm run cuda-model` from docs/cuda_model.ts. -->",
    "",
    "This is what a step of 2^21 tokens would take on one H100 SXM5, so that a measurement has something to be held",
    "against, and a change can be weighed before it is made. **Only what is said of an H200 was measured**, above all in",
    "[the last section](#beside-a-measurement). Bytes and FLOPs are the least that an operation has to move and compute (`lib/bench/kernels/cost.ts`). A",
    "call takes what its bytes or its FLOPs take, whichever is longer, and a launch. The assumptions were made before",
    "anything ran on a GPU:",
    "",
    `- Peaks: ${(peakFlops / 1e12).toFixed(0)} TFLOP/s in bf16, ${(peakBytes / 1e12).toFixed(2)} TB/s.`,
    `- Streaming kernels reach ${(100 * bandwidthShare).toFixed(0)} % of the bandwidth.`,
    `- cuBLASLt's products reach ${(100 * gemmShare["llama-370m"]!).toFixed(0)} % of the peak for llama-370m and 780m, ` +
      `${(100 * gemmShare["llama-1.3b"]!).toFixed(0)} % for llama-1.3b and 2.7b.`,
    `- Attention with \`mma.sync\` reaches ${(100 * attentionShare.forward).toFixed(0)} % forward and ` +
      `${(100 * attentionShare.backward).toFixed(0)} % backward, of the FLOPs that a single pass would compute.`,
    `- A kernel takes ${(1e6 * launchSeconds).toFixed(1)} microseconds besides, with the gap to the next in a graph.`,
    `- Micro-batches of ${positions} positions, sequences of ${T}.`,
    "",
    ...models.map(table),
    muonSection(
      modelled,
      (preset) => stepModel(preset, 1, muonStepPositions).milliseconds / 1e3,
      (cost, rate, preset) => secondsOf({ ...cost, rate }, preset),
    ),
    changesTable(),
    measuredTable(),
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL("cuda-model.md", import.meta.url), cudaModelPage());
}
