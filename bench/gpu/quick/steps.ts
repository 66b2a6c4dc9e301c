/** What `bench/gpu.sh quick` runs, the most valuable first, each with the seconds that it may take. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type PresetName, presets } from "../../../lib/hf/presets.js";
import type { BackendReport } from "../../../lib/native.js";
import { readJest } from "./jest_result.js";
import { attentionOccupancy } from "./occupancy.js";
import type { Command } from "./run_step.js";

/** In order. `gpu.sh quick PART…` runs only these, after `device`. */
export const parts = [
  "device",
  "tests",
  "train",
  "operations",
  "kernels",
  "occupancy",
  "bits",
  "ptx",
  "large",
  "sanitize",
  "fault",
  "pytorch",
] as const;
export type Part = (typeof parts)[number];

/** Where the steps run. `dry` is the simulated device with the least shapes: it shows that everything starts. */
export interface Target {
  readonly dry: boolean;
  /** For what the steps leave. */
  readonly scratch: string;
  /** With PyTorch. */
  readonly python: string;
}

export interface QuickPlan {
  readonly part: Part;
  readonly name: string;
  readonly seconds: number;
  readonly command: Command;
  /** Why it cannot run here; null if it can. Asked when its turn comes. */
  readonly missing?: () => string | null;
  /** Whether the GPU's clocks are sampled. */
  readonly clocks?: boolean;
  /** Its result, of its output or of what it has left. */
  readonly read?: (stdout: string) => unknown;
}

/** T of the models, and tokens of a step: at K = 4 one pass of 32768 positions. */
export const shape = { positions: 2048, tokens: 2 ** 17 };
const dryModel = {
  vocab_size: 96,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 1,
  num_attention_heads: 2,
};

/** Models with the seconds for K = 1 and K = 4, and the timed steps. */
const trained: readonly (readonly [PresetName, number, number, number])[] = [
  ["llama-370m", 15, 10, 5],
  ["llama-780m", 16, 10, 3],
  ["llama-1.3b", 22, 12, 3],
  ["llama-2.7b", 32, 16, 2],
];

export function quickSteps(target: Target): QuickPlan[] {
  const { dry, scratch, python } = target;
  const backend = dry ? "simt" : "cuda";
  const { positions, tokens } = dry ? { positions: 8, tokens: 32 } : shape;
  const models = dry ? trained.slice(0, 1) : trained;
  const node = (args: readonly string[], env?: Command["env"]): Command => ({ program: process.execPath, args, env });
  const script = (name: string, args: readonly string[], env?: Command["env"]) =>
    node(["--import", "tsx", `bench/gpu/quick/${name}.ts`, ...args], env);
  const nextpatch = (...args: string[]) => node(["--import", "tsx", "lib/cli/main.ts", ...args, "--json"]);
  const modelFlag = (preset: PresetName) => (dry ? JSON.stringify(dryModel) : preset);
  const gpuOnly = () => (dry ? "it needs a GPU" : null);

  /** Jest on this backend alone; every process holds a context of the GPU. */
  function tests(
    part: Part,
    name: string,
    seconds: number,
    flags: readonly string[],
    env: Command["env"] = {},
  ): QuickPlan {
    const outputFile = join(scratch, `${name}.json`);
    const command = jest(flags, outputFile, { NEXTPATCH_TEST_BACKENDS: backend, ...env });
    return { part, name, seconds, command, read: () => readJest(outputFile) };
  }

  function sanitized(tool: string, seconds: number): QuickPlan {
    const files = ["attention", "cross_entropy", "patch_embedding", "rmsnorm"].map((name) => `test/operations/${name}`);
    const { part, name, read, command } = tests("sanitize", tool, seconds, [...files, ...alone], few);
    // A status that the runtime returns to a query, such as an event that was not reached yet, is not an error.
    const flags = ["--target-processes", "all", "--report-api-errors", "no", "--error-exitcode", "9", "--tool", tool];
    const { program, args, env } = command;
    return {
      ...{ part, name, seconds, read },
      command: { program: "compute-sanitizer", args: [...flags, program, ...args], env },
      missing: () => gpuOnly() ?? without("compute-sanitizer"),
    };
  }

  const alone = ["--runInBand", "--testTimeout", "600000"];
  const few = { NEXTPATCH_TEST_CASES: "few" };
  const jit = { CUDA_FORCE_PTX_JIT: "1", CUDA_CACHE_PATH: join(scratch, "ptx"), ...few };
  const occupancyFile = join(scratch, "occupancy.jsonl");
  const gpuFile = join(scratch, "gpu.out");
  const workers = "--maxWorkers=8";
  const training = ["nn/training_pass", "nn/accumulation", "nn/parity", "nn/decoder", "train/backends"];
  return [
    { part: "device", name: "info", seconds: 10, command: nextpatch("info"), read: lastJson },
    {
      part: "device",
      name: "gpu",
      seconds: 5,
      command: {
        program: "nvidia-smi",
        args: [`--query-gpu=${gpuKeys.join(",")}`, "--format=csv,noheader", "--id=0"],
      },
      missing: gpuOnly,
      read: readGpu,
    },
    ...(dry
      ? [tests("tests", "operations", 60, ["test/operations/swiglu"])]
      : [
          tests("tests", "operations", 60, ["test/operations", workers]),
          tests("tests", "binding", 25, ["test/binding", workers]),
          tests("tests", "training", 25, [...training.map((name) => `test/${name}`), workers]),
        ]),
    ...models.flatMap(([preset, first, fourth, steps]) =>
      [1, 4].map((K): QuickPlan => {
        const flags = [
          "--patch-size",
          K,
          "--sequence-length",
          positions,
          "--tokens-per-step",
          tokens,
          "--steps",
          steps,
        ];
        return {
          part: "train",
          name: `${dry ? "made" : preset}-${K}`,
          seconds: K === 1 ? first : fourth,
          command: nextpatch("bench", "train", "--model", modelFlag(preset), ...flags.map(String), ...on(backend)),
          clocks: !dry,
          read: lastJson,
        };
      }),
    ),
    ...(["llama-370m", "llama-1.3b"] as const).slice(0, dry ? 1 : 2).map((preset): QuickPlan => {
      const args = [backend, modelFlag(preset), 1, positions, dry ? 2 * positions : 16 * positions].map(String);
      const command = script("operations", args, { NEXTPATCH_GRAPHS: "0" });
      return { part: "operations", name: `operations-${dry ? "made" : preset}`, seconds: 12, command, read: lastJson };
    }),
    {
      part: "operations",
      name: "nsys",
      seconds: 15,
      command: {
        program: "bash",
        args: ["-c", nsys, "nsys", join(scratch, "nsys"), process.execPath, ...nsysStep],
        env: { NEXTPATCH_GRAPHS: "0" },
      },
      missing: () => gpuOnly() ?? without("nsys"),
      read: (stdout) => JSON.parse(stdout) as unknown,
    },
    {
      part: "kernels",
      name: "kernels",
      seconds: 50,
      command: nextpatch("bench", "kernels", ...on(backend)),
      read: lastJson,
    },
    {
      part: "kernels",
      name: "tune",
      seconds: 20,
      command: nextpatch("tune", "--model", "llama-370m"),
      missing: () => gpuOnly() ?? (hasCommand("tune") ? null : "this nextpatch has no command tune"),
      read: lastJson,
    },
    {
      ...tests("occupancy", "occupancy", 15, ["test/operations/attention", ...alone], {
        ...few,
        NEXTPATCH_CUDA_OCCUPANCY: occupancyFile,
      }),
      missing: gpuOnly,
      read: () => attentionOccupancy(readFileSync(occupancyFile, "utf8"), countedWarps(), capabilityIn(gpuFile)),
    },
    { part: "bits", name: "same-bits", seconds: 30, command: script("same_bits", [backend]), read: lastJson },
    {
      // Without products: cuBLAS would be made to compile its own PTX, which it does not have for every kernel.
      ...tests(
        "ptx",
        "ptx-streaming",
        15,
        [...["rmsnorm", "swiglu", "rotary", "cross_entropy"].map(operationTest), ...alone],
        jit,
      ),
      missing: gpuOnly,
    },
    {
      ...tests("ptx", "ptx-attention", 25, [operationTest("attention_forward"), ...alone], jit),
      missing: gpuOnly,
    },
    {
      part: "large",
      name: "large",
      seconds: 15,
      command: node(["test/binding/children/large.mjs", backend], dry ? { NEXTPATCH_SIMT_SPARSE: "1" } : {}),
      missing: () => (dry || memoryIn(join(scratch, "info.out")) >= 36 * 2 ** 30 ? null : "it needs a GPU with 36 GiB"),
      read: lastJson,
    },
    sanitized("synccheck", 20),
    sanitized("initcheck", 20),
    {
      part: "fault",
      name: "fault",
      seconds: 8,
      command: script("fault", dry ? ["simt"] : ["cuda", faultModule], dry ? { NEXTPATCH_SIMT_FAULT: "3" } : {}),
      missing: () => (dry || existsSync(faultModule) ? null : `${faultModule} was not built (bench/gpu.sh build)`),
      read: lastJson,
    },
    ...[1, 4].map((K): QuickPlan => {
      const { hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, vocab_size } =
        presets["llama-370m"];
      const flags = {
        hidden: hidden_size,
        intermediate: intermediate_size,
        layers: num_hidden_layers,
        heads: num_attention_heads,
        vocab: vocab_size,
        precision: "bf16",
        device: "cuda",
        "patch-size": K,
        "sequence-length": positions,
        "tokens-per-step": tokens,
        steps: 3,
      };
      const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
      return {
        part: "pytorch",
        name: `pytorch-${K}`,
        seconds: K === 1 ? 25 : 20,
        command: { program: python, args: ["bench/peers/torch_train.py", ...args] },
        missing: () => gpuOnly() ?? withoutModules(python),
        clocks: true,
        read: lastJson,
      };
    }),
  ];
}

/** Built by `gpu.sh build` and `gpu.sh pack` from bench/gpu/fault.cu. */
const faultModule = "build/fault.node";

const on = (backend: string) => ["--device", backend, "--precision", "bf16"];
const operationTest = (name: string) => `test/operations/${name}`;

function jest(flags: readonly string[], outputFile: string, env: Command["env"]): Command {
  const main = ["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js"];
  return { program: process.execPath, args: [...main, "--json", "--outputFile", outputFile, ...flags], env };
}

/** Arguments: the report's path without its ending, then the command. The sums by kernel go to stdout. */
const nsys = `report=$1; shift
nsys profile --trace cuda --sample none --cpuctxsw none --force-overwrite true -o "$report" "$@" >&2 &&
  nsys stats --report cuda_gpu_kern_sum --format json --force-export true "$report.nsys-rep"`;
const nsysStep = [
  ...["--import", "tsx", "lib/cli/main.ts", "bench", "train", "--model", "llama-370m", "--steps", "1"],
  ...["--sequence-length", "2048", "--tokens-per-step", "32768", ...on("cuda")],
];

/** As nvidia-smi names them. */
const gpuKeys = [
  "name",
  "compute_cap",
  "driver_version",
  "memory.total",
  "power.limit",
  "clocks.max.sm",
  "clocks.max.mem",
];

function readGpu(stdout: string): Record<string, string> {
  const values = stdout.trim().split(",");
  return Object.fromEntries(gpuKeys.map((key, index) => [key, (values[index] ?? "").trim()]));
}

/** The JSON of the last line. */
function lastJson(stdout: string): unknown {
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}

function capabilityIn(file: string): string | null {
  return existsSync(file) ? readGpu(readFileSync(file, "utf8")).compute_cap! : null;
}

function memoryIn(file: string): number {
  const { backends } = lastJson(readFileSync(file, "utf8")) as { backends: BackendReport[] };
  return backends.find(({ name }) => name === "cuda")?.devices[0]?.totalBytes ?? 0;
}

const countedWarps = () => readFileSync("bench/results/ptxas-cuda-13.0.txt", "utf8");

function without(program: string): string | null {
  return spawnSync(program, ["--version"]).error === undefined ? null : `${program} is not on the PATH`;
}

function withoutModules(python: string): string | null {
  const look =
    "import importlib.util, sys; sys.exit(any(map(lambda m: importlib.util.find_spec(m) is None, sys.argv[1:])))";
  const found = spawnSync(python, ["-c", look, "torch", "transformers"]).status === 0;
  return found ? null : `${python} has no PyTorch and transformers (bench/peers/README.md)`;
}

function hasCommand(name: string): boolean {
  const { stdout } = spawnSync(process.execPath, ["--import", "tsx", "lib/cli/main.ts", "--help"], {
    encoding: "utf8",
  });
  return new RegExp(`^ {2}${name} `, "m").test(stdout);
}
