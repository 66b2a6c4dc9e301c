/**
 * Makes one result from the output of bench/gpu.sh's phases and prints how our kernels compare. Called by gpu.sh. The
 * device's older result is kept for phases without output here, for example if they ran on different machines.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { KernelBenchResult } from "../../lib/bench/kernels/run.js";
import type { TrainBenchResult } from "../../lib/bench/train_step.js";
import type { BackendReport } from "../../lib/native.js";
import { kernelKey, pairKernels, type TorchKernels } from "../pairing.js";
import { type GpuResult, merged, parseStep, resultName, type Step, type TorchTrain, type TrainRow } from "./result.js";

const { values: flags } = parseArgs({
  options: { parts: { type: "string" }, out: { type: "string" } },
});
const { parts, out } = flags as { parts: string; out: string };

let steps: Step[] = ["build", "test", "sanitize", "kernels", "train"]
  .map((phase) => join(parts, `${phase}.steps`))
  .filter(existsSync)
  .flatMap((file) =>
    readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map(parseStep),
  );

/** A step's output; null unless it passed. A step with unexpected output has failed. */
function output<T>(name: string): T | null {
  if (!steps.some((step) => step.name === name && step.outcome === "passed")) return null;
  const line = readFileSync(join(parts, `${name}.out`), "utf8")
    .trim()
    .split("\n")
    .at(-1)!;
  try {
    return JSON.parse(line) as T;
  } catch {
    const reason = `expected JSON but received ${JSON.stringify(line.slice(0, 80))}`;
    steps = steps.map((step) => (step.name === name ? { ...step, outcome: "failed", reason } : step));
    process.exitCode = 1;
    return null;
  }
}

const info = output<{ node: string; backends: BackendReport[] }>("info");
const cuda = info?.backends.find(({ name }) => name === "cuda");
const device = cuda?.devices[0]?.name;
if (device === undefined) {
  process.stderr.write(`gpu: no result: ${cuda?.problem ?? "the build has told of no GPU (bench/gpu.sh build)"}\n`);
  process.exit(1);
}
const ours = output<KernelBenchResult>("kernels");
const theirs = output<TorchKernels>("kernels-torch");

const train = [1, 4].flatMap((patchSize): TrainRow[] => {
  const nextpatch = output<TrainBenchResult>(`train-${patchSize}`);
  if (nextpatch === null) return [];
  const variants = [`train-${patchSize}-torch`, `train-${patchSize}-torch-compiled`];
  const pytorch = variants.flatMap((name) => output<TorchTrain>(name) ?? []);
  const best = Math.max(...pytorch.map(({ tokensPerSecond }) => tokensPerSecond));
  return [{ patchSize, nextpatch, pytorch, ratio: pytorch.length === 0 ? null : nextpatch.tokensPerSecond / best }];
});

const twoStages = output("two-stages");
const torch = theirs?.torch ?? train.flatMap(({ pytorch }) => pytorch)[0]?.torch;
const found: GpuResult = {
  device,
  date: new Date().toISOString(),
  versions: {
    node: info?.node ?? process.version,
    ...cuda?.versions,
    ...(torch === undefined ? {} : { torch }),
  },
  steps,
  kernels: ours && { dtype: ours.dtype, ceilings: ours.ceilings, rows: pairKernels(ours.kernels, theirs) },
  train,
  twoStages,
};
mkdirSync(out, { recursive: true });
const file = join(out, resultName(device));
const result = existsSync(file) ? merged(JSON.parse(readFileSync(file, "utf8")) as GpuResult, found) : found;
writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);

for (const row of result.kernels?.rows ?? []) {
  const ceiling = `${(100 * row.fractionOfCeiling).toFixed(0)} % of the ceiling`;
  const ratio = row.ratio === null ? "" : `, ${row.ratio.toFixed(2)} x PyTorch`;
  process.stdout.write(`${kernelKey(row)}: ${(1e6 * row.seconds).toFixed(1)} us, ${ceiling}${ratio}\n`);
}
for (const { patchSize, nextpatch, ratio } of result.train) {
  const mfu = nextpatch.mfu === null ? "" : `, MFU ${(100 * nextpatch.mfu).toFixed(1)} %`;
  const compared = ratio === null ? "" : `, ${ratio.toFixed(2)} x PyTorch`;
  const rate = `${Math.round(nextpatch.tokensPerSecond)} tokens/s`;
  process.stdout.write(`llama-370m, K = ${patchSize}: ${rate}${mfu}${compared}\n`);
}
process.stdout.write(`${file}\n`);
