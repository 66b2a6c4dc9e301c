import type { DType, native } from "../../native.js";
import type { CallMemory } from "../memory.js";

/** The dtypes that the operations compute in. */
export type ComputeDType = "f32" | "bf16";
export const computeDTypes: readonly ComputeDType[] = ["f32", "bf16"];

type Functions = { [K in keyof typeof native]: (typeof native)[K] extends (...args: never[]) => unknown ? K : never };

/** The name of an operation that computes something, as in binding.d.ts. */
export type Operation = Exclude<
  Functions[keyof Functions],
  | "setErrorClasses"
  | "signatures"
  | "backends"
  | "addBackendFolder"
  | "excludeLibrary"
  | "explainMissing"
  | "backendLibraries"
  | "tryLibrary"
  | "overlap"
  // Of several ranks, which this process is none of.
  | "engine"
  | "joinRanks"
  | "meetRanks"
  | "beginStep"
  | "leaveLoop"
  | "leaveRanks"
  | "rankBytes"
  | "reduceScatter"
  | "allGather"
  | "allReduce"
  | "awaitRanks"
  | `${string}Workspace`
>;

/** A call of an operation, which can be made on any device. */
export interface Call {
  readonly operation: Operation;
  readonly dtype: DType;
  /** What else it is called with, in the letters of native/kernels.h. */
  readonly shape: Readonly<Record<string, number | string>>;
  /** Makes the tensors and enqueues the operation. */
  readonly run: (memory: CallMemory) => void | Promise<void>;
}

/**
 * How large the tensors are: more than a tile and no multiple of one. `small` takes fewer of them, for the simulated
 * device, which is hundreds of times slower, and for a test that makes many runs.
 */
export type Size = "full" | "small";
