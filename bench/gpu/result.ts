/** The result of bench/gpu.sh: one GPU's tests and measurements, ours and PyTorch's from the same run. */
import type { Ceilings } from "../../lib/bench/ceilings.js";
import type { TrainBenchResult } from "../../lib/bench/train_step.js";
import type { KernelRow } from "../pairing.js";

export interface Step {
  readonly phase: string;
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly seconds: number;
  readonly reason?: string;
}

/** The result of `bench/peers/torch_train.py`, the part that is read. */
export interface TorchTrain {
  readonly tokensPerSecond: number;
  readonly compile: boolean;
  readonly torch: string;
}

export interface TrainRow {
  readonly patchSize: number;
  readonly nextpatch: TrainBenchResult;
  readonly pytorch: readonly TorchTrain[];
  /** Our tokens per second over those of PyTorch's faster variant. */
  readonly ratio: number | null;
}

export interface GpuResult {
  /** CUDA's name of the first device. */
  readonly device: string;
  readonly date: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
  readonly kernels: { readonly dtype: string; readonly ceilings: Ceilings; readonly rows: readonly KernelRow[] } | null;
  readonly train: readonly TrainRow[];
  /** The result line of a short run in two stages; null if it was not run. */
  readonly twoStages: unknown;
}

/** `found`, with what `older` has of phases that `found` has no step of. */
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

/** A step's outcome from a line of `phase, name, outcome, seconds, reason`, separated by tabs. */
export function parseStep(line: string): Step {
  const [phase, name, outcome, seconds, reason] = line.split("\t");
  if (reason === undefined || (outcome !== "passed" && outcome !== "failed" && outcome !== "skipped")) {
    throw new Error(`expected phase, name, outcome, seconds and reason but received ${JSON.stringify(line)}`);
  }
  return { phase: phase!, name: name!, outcome, seconds: Number(seconds), ...(reason === "" ? {} : { reason }) };
}

/** The name of a device's result: `nvidia-h200.json`. */
export function resultName(device: string): string {
  return `${device
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")}.json`;
}
