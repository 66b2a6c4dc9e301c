/**
 * What `bench/gpu.sh quick` runs, the most valuable first, each with the seconds that it may take: 1.1 to 1.6 times what
 * it took on an H200 (bench/results/quick-nvidia-h200.md); twice that for the operations, which have half as many tests
 * again since then; and a share of the rest where that was not measured.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type PresetName, presets } from "../../../lib/hf/presets.js";
import type { BackendReport } from "../../../lib/native.js";
import { changedByWarpgroups } from "../../../test/simt/reports.js";
import { child, jest, nextpatch, profiled, sanitized, script } from "./commands.js";
import { attentionOccupancy } from "./occupancy.js";
import type { QuickPlan, Target } from "./plan.js";
import { without, withoutPeers } from "./presence.js";
import { gpuKeys, jsonLines, lastJson, readGpu, readKernels, readNsys, readTests } from "./read.js";
import type { Command } from "./run_command.js";

/** T of the models, and tokens of a step: at K = 4 one pass of 32768 positions. */
const shape = { positions: 2048, tokens: 2 ** 17 };
/** Tokens of the step that is looked at operation by operation: one pass. */
const passTokens = 2 ** 15;

/** Models with the seconds for K = 1 and K = 4, and the timed steps. */
const trained: readonly (readonly [PresetName, number, number, number])[] = [
  ["llama-370m", 10, 5, 5],
  ["llama-780m", 12, 6, 3],
  ["llama-1.3b", 16, 7, 3],
  ["llama-2.7b", 24, 9, 2],
];

/** For simt, in place of the presets. */
const tiny = {
  shape: { positions: 8, tokens: 32 },
  passTokens: 16,
  model: { vocab_size: 96, hidden_size: 64, intermediate_size: 80, num_hidden_layers: 1, num_attention_heads: 2 },
};

/** Built by `gpu.sh build` and `gpu.sh pack` from bench/gpu/fault.cu. */
const faultModule = "build/fault.node";
/** Registers and warps as the compiler tells them: `npm run check:cuda`. */
const ptxasReport = "bench/results/ptxas-cuda-13.0.txt";
/** The least that test/binding/children/large.mjs needs. */
const largeBytes = 36 * 2 ** 30;

const alone = ["--runInBand", "--testTimeout", "600000"];
const together = ["--maxWorkers=8"]; // each holds a context of the GPU
const few = { NEXTPATCH_TEST_CASES: "few" };
/** For kernels of tensor cores: f32 has others, which would take half of the step. */
const inBf16 = ["--testNamePattern", "in bf16"];
const operationTests = (...names: readonly string[]) => names.map((name) => `test/operations/${name}`);

export function quickSteps({ backend, logs, python }: Target): QuickPlan[] {
  const simt = backend === "simt";
  const gpuOnly = () => (simt ? "no GPU" : null);
  const inputs = { backend, simt, gpuOnly, logs, python };
  return [
    ...deviceSteps(inputs),
    ...testSteps(inputs),
    ...trainSteps(inputs),
    ...operationSteps(inputs),
    ...kernelSteps(inputs),
    ...tuneSteps(inputs),
    ...occupancySteps(inputs),
    { part: "bits", name: "same-bits", seconds: 20, command: script("same_bits", [backend]), read: lastJson },
    ...ptxSteps(inputs),
    ...largeSteps(inputs),
    ...sanitizerSteps(inputs),
    ...faultSteps(inputs),
    ...peerSteps(inputs),
  ];
}

interface Inputs extends Target {
  readonly simt: boolean;
  readonly gpuOnly: () => string | null;
}

function deviceSteps({ gpuOnly }: Inputs): QuickPlan[] {
  const query = [`--query-gpu=${gpuKeys.join(",")}`, "--format=csv,noheader", "--id=0"];
  return [
    { part: "device", name: "info", seconds: 5, command: nextpatch("info"), read: lastJson },
    {
      part: "device",
      name: "gpu",
      seconds: 3,
      command: { program: "nvidia-smi", args: query },
      missing: gpuOnly,
      read: readGpu,
    },
  ];
}

function testSteps({ backend, simt }: Inputs): QuickPlan[] {
  const step = (name: string, seconds: number, files: readonly string[]): QuickPlan => {
    return { part: "tests", name, seconds, command: jest(backend, [...files, ...together], {}), read: readTests };
  };
  if (simt) {
    return [
      step("operations", 60, operationTests("glu")),
      step("binding", 25, ["test/binding/graph"]),
      step("training", 30, ["test/nn/accumulation"]),
    ];
  }
  const training = ["nn/training_pass", "nn/accumulation", "nn/recompute", "nn/parity", "nn/decoder", "train/backends"];
  return [
    step("operations", 89, ["test/operations"]),
    step("binding", 48, ["test/binding"]),
    step(
      "training",
      12,
      training.map((name) => `test/${name}`),
    ),
  ];
}

function trainSteps(inputs: Inputs): QuickPlan[] {
  const models = inputs.simt ? trained.slice(0, 1) : trained;
  return models.flatMap(([preset, first, fourth, steps]) => [
    trainStep(inputs, { preset, patchSize: 1, seconds: first, steps }),
    trainStep(inputs, { preset, patchSize: 4, seconds: fourth, steps }),
  ]);
}

interface TrainStep {
  readonly preset: PresetName;
  readonly patchSize: number;
  readonly seconds: number;
  /** Timed. */
  readonly steps: number;
  /** What is not as usual. */
  readonly variant?: { readonly words: string; readonly env: Command["env"]; readonly flags?: readonly string[] };
}

function trainStep({ backend, simt }: Inputs, { preset, patchSize, seconds, steps, variant }: TrainStep): QuickPlan {
  const { positions, tokens } = simt ? tiny.shape : shape;
  const model = simt ? "tiny" : preset;
  const sizes = ["--patch-size", patchSize, "--sequence-length", positions, "--tokens-per-step", tokens];
  const on = ["--device", backend, "--precision", "bf16", "--steps", steps, ...(variant?.flags ?? [])];
  const command = nextpatch("bench", "train", "--model", simt ? JSON.stringify(tiny.model) : preset, ...sizes, ...on);
  return {
    part: "train",
    name: [`${model}-${patchSize}`, ...(variant?.words.split(" ") ?? [])].join("-"),
    seconds,
    command: { ...command, env: variant?.env },
    clocks: !simt,
    read: (stdout) => {
      const result = lastJson(stdout);
      return result && { model: [model, ...(variant ? [variant.words] : [])].join(", "), patchSize, tokens, ...result };
    },
  };
}

/** The device's time of every operation of a step: events between them, and where nsys is there its kernels' sums. */
function operationSteps({ backend, simt, gpuOnly, logs }: Inputs): QuickPlan[] {
  const { positions } = simt ? tiny.shape : shape;
  const env = { NEXTPATCH_GRAPHS: "0" };
  const models = simt ? [JSON.stringify(tiny.model)] : ["llama-370m", "llama-1.3b"];
  const sizes = [1, positions, simt ? tiny.passTokens : passTokens];
  const step: Command = {
    ...nextpatch(
      ...["bench", "train", "--model", "llama-370m", "--device", "cuda", "--precision", "bf16", "--steps", 1],
      ...["--sequence-length", shape.positions, "--tokens-per-step", passTokens],
    ),
    env,
  };
  return [
    ...models.map((model): QuickPlan => {
      const command = script("operations", [backend, model, ...sizes], env);
      const name = `operations-${simt ? "tiny" : model}`;
      return { part: "operations", name, seconds: 5, command, read: lastJson };
    }),
    {
      part: "operations",
      name: "nsys",
      seconds: 10,
      command: profiled(join(logs, "nsys"), step),
      missing: () => gpuOnly() ?? without("nsys"),
      read: readNsys,
    },
  ];
}

/** simt has a choice of algorithms only with this. */
const several = ({ simt }: Inputs): Command["env"] => (simt ? { NEXTPATCH_SIMT_ALGORITHMS: "several" } : {});

function kernelSteps(inputs: Inputs): QuickPlan[] {
  const { backend } = inputs;
  return [
    { part: "kernels", name: "kernels", seconds: 46, command: script("kernels", [backend]), read: readKernels },
    {
      part: "kernels",
      name: "gemm-candidates",
      seconds: 6,
      command: script("gemm_candidates", [backend], several(inputs)),
      read: lastJson,
    },
  ];
}

/** What a step gains from measured algorithms. */
function tuneSteps(inputs: Inputs): QuickPlan[] {
  const { backend, simt, logs } = inputs;
  const { positions, tokens } = simt ? tiny.shape : shape;
  const [preset, , , steps] = trained[0]!;
  const env = several(inputs);
  const table = join(logs, "products.json");
  // The same in both, so that the products are the same.
  const microBatch = tokens / (4 * positions);
  const args = [backend, JSON.stringify(simt ? tiny.model : { preset }), positions, tokens, microBatch, logs];
  const variant = { words: "tuned", env, flags: ["--micro-batch", String(microBatch), "--product-table", table] };
  return [
    { part: "tune", name: "tune", seconds: 10, command: script("tune", args, env), read: lastJson },
    {
      ...trainStep(inputs, { preset, patchSize: 1, seconds: 9, steps, variant }),
      part: "tune",
      missing: () => (existsSync(table) ? null : "no product table: tune has not come to its end"),
    },
  ];
}

function occupancySteps({ backend, gpuOnly, logs }: Inputs): QuickPlan[] {
  const file = join(logs, "occupancy.jsonl");
  const env = { ...few, NEXTPATCH_CUDA_OCCUPANCY: file, NEXTPATCH_TEST_BITS: bitsOf(logs, "machine") };
  const capability = () => readGpu(readFileSync(join(logs, "gpu.out"), "utf8"))?.compute_cap ?? null;
  return [
    {
      part: "occupancy",
      name: "occupancy",
      seconds: 24,
      command: jest(backend, [...operationTests("attention"), ...inBf16, ...alone], env),
      missing: gpuOnly,
      read: () => attentionOccupancy(readFileSync(file, "utf8"), readFileSync(ptxasReport, "utf8"), capability()),
    },
  ];
}

/** Digests of attention's results, by machine code or by PTX. */
const bitsOf = (logs: string, code: "machine" | "ptx"): string => join(logs, `bits-${code}`);

/** The kernels as the driver compiles them, for chips that the build has no machine code for. */
function ptxSteps({ backend, gpuOnly, logs }: Inputs): QuickPlan[] {
  const env = { CUDA_FORCE_PTX_JIT: "1", CUDA_CACHE_PATH: join(logs, "ptx"), ...few };
  const step = (name: string, seconds: number, files: readonly string[]): QuickPlan => {
    const command = jest(backend, [...files, ...alone], { ...env, NEXTPATCH_TEST_BITS: bitsOf(logs, "ptx") });
    return { part: "ptx", name, seconds, command, missing: gpuOnly, read: readTests };
  };
  // On 9.0 only machine code has a warpgroup's products: PTX gives the bits of each warp's own.
  const warpgroups = (stdout: string) => {
    const counts = readTests(stdout);
    const files = (["machine", "ptx"] as const).map((code) => bitsOf(logs, code));
    if (counts === null || !files.every(existsSync)) return counts;
    const [machine, ptx] = files.map((file) => readFileSync(file, "utf8"));
    return { ...counts, warpgroups: changedByWarpgroups(machine!, ptx!) };
  };
  return [
    // Without products: cuBLAS would be made to compile its own PTX, which it does not have for every kernel.
    step("ptx-streaming", 12, operationTests("rmsnorm", "glu", "rotary", "cross_entropy")),
    { ...step("ptx-attention", 26, [...operationTests("attention_forward"), ...inBf16]), read: warpgroups },
  ];
}

function largeSteps({ backend, simt, logs }: Inputs): QuickPlan[] {
  const memory = () => {
    const [info] = jsonLines<{ backends: BackendReport[] }>(readFileSync(join(logs, "info.out"), "utf8"));
    return info?.backends.find(({ name }) => name === "cuda")?.devices[0]?.totalBytes ?? 0;
  };
  return [
    {
      part: "large",
      name: "large",
      seconds: 8,
      command: child("large", [backend], simt ? { NEXTPATCH_SIMT_SPARSE: "1" } : {}),
      missing: () => (simt || memory() >= largeBytes ? null : "a GPU with less than 36 GiB"),
      read: lastJson,
    },
  ];
}

function sanitizerSteps({ backend, gpuOnly }: Inputs): QuickPlan[] {
  const files = operationTests("attention", "cross_entropy", "patch_embedding", "rmsnorm");
  return ["synccheck", "initcheck"].map((tool) => ({
    part: "sanitize",
    name: tool,
    seconds: 18,
    command: sanitized(tool, jest(backend, [...files, ...inBf16, ...alone], few)),
    missing: () => gpuOnly() ?? without("compute-sanitizer"),
    read: readTests,
  }));
}

function faultSteps({ simt }: Inputs): QuickPlan[] {
  const built = () => (existsSync(faultModule) ? null : `${faultModule} is not built (bench/gpu.sh build, with nvcc)`);
  return [
    {
      part: "fault",
      name: "fault",
      seconds: 3,
      command: simt ? script("fault", ["simt"], { NEXTPATCH_SIMT_FAULT: "3" }) : script("fault", ["cuda", faultModule]),
      missing: () => (simt ? null : built()),
      read: lastJson,
    },
  ];
}

function peerSteps({ gpuOnly, python }: Inputs): QuickPlan[] {
  const model = presets["llama-370m"];
  return [1, 4].map((patchSize): QuickPlan => {
    const flags = {
      hidden: model.hidden_size,
      intermediate: model.intermediate_size,
      layers: model.num_hidden_layers,
      heads: model.num_attention_heads,
      vocab: model.vocab_size,
      precision: "bf16",
      device: "cuda",
      "patch-size": patchSize,
      "sequence-length": shape.positions,
      "tokens-per-step": shape.tokens,
      "micro-batch": "8,16",
      steps: 3,
    };
    const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
    return {
      part: "pytorch",
      name: `pytorch-${patchSize}`,
      seconds: patchSize === 1 ? 41 : 33, // Python's imports alone take 15
      command: { program: python, args: ["bench/peers/torch_train.py", ...args] },
      missing: () => gpuOnly() ?? withoutPeers(python),
      clocks: true,
      read: lastJson,
    };
  });
}
