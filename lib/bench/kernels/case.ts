/** What a benchmark of an operation is. */
import type { Cost } from "./cost.js";
import type { RandomTensors } from "./tensors.js";

/** The compute dtype. */
export type ComputeDType = "f32" | "bf16";

/** One set of inputs: how to enqueue the operation on it. */
export interface PreparedCall {
  readonly call: () => void;
  /** Restores an input that the operation overwrites; its time is measured separately and subtracted. */
  readonly restore?: () => void;
}

export interface KernelCase {
  /** The operation, as native/kernels.h names it. */
  readonly name: string;
  /** Sizes, in the letters of native/kernels.h. */
  readonly shape: Readonly<Record<string, number | string>>;
  readonly cost: Cost;
  readonly prepare: (tensors: RandomTensors) => PreparedCall;
}
