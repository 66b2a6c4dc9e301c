/** What bench/gpu.sh writes: one GPU's tests and measurements, ours beside PyTorch's in the same run. */
import type { KernelTiming } from "../lib/bench/kernels.js";
import type { Ceilings } from "../lib/bench/ceilings.js";
import type { TrainBenchResult } from "../lib/bench/train_step.js";

export interface Step {
  readonly phase: string;
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly seconds: number;
  readonly reason?: string;
}

/** A variant's time in PyTorch, or why there is none. */
export interface PeerTiming {
  readonly variant: string;
  readonly seconds?: number;
  /** The time is rather the host's, for launching. */
  readonly launchBound?: boolean;
  readonly problem?: string;
}

export interface KernelRow extends KernelTiming {
  readonly peers: readonly PeerTiming[];
  /** Times faster than PyTorch's fastest variant; null where there is none to compare with. */
  readonly ratio: number | null;
}

/** `bench/peers/torch_kernels.py`'s. */
export interface TorchKernels {
  readonly torch: string;
  readonly kernels: readonly (PeerTiming & Pick<KernelTiming, "name" | "shape">)[];
}

/** `bench/peers/torch_train.py`'s, as far as it is read. */
export interface TorchTrain {
  readonly tokensPerSecond: number;
  readonly compile: boolean;
  readonly torch: string;
}

export interface TrainRow {
  readonly patchSize: number;
  readonly nextpatch: TrainBenchResult;
  readonly pytorch: readonly TorchTrain[];
  /** Our tokens a second by PyTorch's, of its faster variant. */
  readonly ratio: number | null;
}

export interface GpuResult {
  /** As CUDA names its first device. */
  readonly device: string;
  readonly date: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
  readonly kernels: { readonly dtype: string; readonly ceilings: Ceilings; readonly rows: readonly KernelRow[] } | null;
  readonly train: readonly TrainRow[];
  /** The result line of a short run in two stages; null where it was not run. */
  readonly twoStages: unknown;
}

/** `found`, and of the phases that it has no step of what `older` has. */
export function merged(older: GpuResult, found: GpuResult): GpuResult {
  const phases = new Set(found.steps.map(({ phase }) => phase));
  const from = (phase: string) => (phases.has(phase) ? found : older);
  return {
    ...found,
    versions: { ...older.versions, ...found.versions },
    steps: [...older.steps.filter(({ phase }) => !phases.has(phase)), ...found.steps],
    kernels: from("kernels").kernels,
    train: from("train").train,
    twoStages: from("train").twoStages,
  };
}

/** What tells a kernel's timings apart. */
export function kernelKey({ name, shape }: Pick<KernelTiming, "name" | "shape">): string {
  return `${name} ${Object.entries(shape).map(([letter, size]) => `${letter}=${size}`).join(" ")}`;
}

/** Our kernels, each with PyTorch's variants of it. */
export function pairKernels(ours: readonly KernelTiming[], theirs: TorchKernels | null): KernelRow[] {
  const peersByKey = new Map<string, PeerTiming[]>();
  for (const { name, shape, ...timing } of theirs?.kernels ?? []) {
    const key = kernelKey({ name, shape });
    peersByKey.set(key, [...(peersByKey.get(key) ?? []), timing]);
  }
  return ours.map((kernel) => {
    const peers = peersByKey.get(kernelKey(kernel)) ?? [];
    const times = peers.flatMap(({ seconds, launchBound }) => (seconds === undefined || launchBound ? [] : [seconds]));
    return { ...kernel, peers, ratio: times.length === 0 ? null : Math.min(...times) / kernel.seconds };
  });
}

/** A step's outcome from a line of `phase, name, outcome, seconds, reason`, separated by tabs. */
export function parseStep(line: string): Step {
  const [phase, name, outcome, seconds, reason] = line.split("\t");
  if (reason === undefined || (outcome !== "passed" && outcome !== "failed" && outcome !== "skipped")) {
    throw new Error(`expected phase, name, outcome, seconds and reason, got ${JSON.stringify(line)}`);
  }
  return { phase: phase!, name: name!, outcome, seconds: Number(seconds), ...(reason === "" ? {} : { reason }) };
}

/** The name of a device's result: `nvidia-h200.json`. */
export function resultName(device: string): string {
  return `${device.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "")}.json`;
}
