/**
 * The whole surface of the native addon, typed by hand. Shapes and dtypes are those of `native/kernels.h`, which
 * says what every operation computes; here stand their JavaScript names and argument orders, outputs first.
 *
 * `dt` is f32 or bf16, the same for all arguments of a call so marked. Every operation is checked, enqueued on
 * the device of its tensors and returns at once. A wrong argument throws `TypeError` (kind, dtype, device) or
 * `RangeError` (shape, value) that names the operation, the argument, what was expected and what came.
 */

/** What a tensor's elements are; bf16 is the upper half of an f32. */
export type DType = "f32" | "bf16" | "i32";
/** The implementations of the operations; `simt` runs the CUDA sources on the host, for tests. */
export type BackendName = "cpu" | "cuda" | "simt";

/** What a tensor of each dtype is written from and read to; bf16 as its 16 raw bits. */
export interface ArrayOf {
  f32: Float32Array;
  bf16: Uint16Array;
  i32: Int32Array;
}

/** The memory of a device as `device.memory()` tells it. */
export interface MemoryCounters {
  /** Memory of the device, and what of it is free, in bytes. */
  totalBytes: number;
  freeBytes: number;
  /** Bytes in use now, by live tensors and the workspace, and the most there have been. */
  usedBytes: number;
  peakUsedBytes: number;
  /** Bytes that matrix products work in, as long as the device is open (on `cuda`). */
  workspaceBytes: number;
  /** Bytes taken from the system: those in use and cached blocks. */
  reservedBytes: number;
  /** Bytes of host memory, page-locked where that means something, that copies pass through. */
  stagingBytes: number;
  /** Calls to the system's allocators so far; a training loop stops adding to it after its first step. */
  systemAllocations: number;
}

/** An opened device: its memory, and its in-order queue of operations. */
export class Device {
  /**
   * A handle; all handles on one device with as many threads share its queue and its memory.
   * @param index which of the backend's devices
   * @param threads host threads that compute (`cpu` and `simt`); 0: all available cores
   * @throws DeviceError where there is no such device, saying why
   */
  constructor(backend: BackendName, index: number, threads: number);
  readonly backend: BackendName;
  readonly index: number;
  /** Host threads as they were asked for; 0: all available cores. */
  readonly threads: number;
  readonly name: string;
  /** Whether bf16 products run faster than f32 ones. */
  readonly nativeBf16: boolean;
  memory(): MemoryCounters;
  /** Joules the device has used since it was switched on, from its own counter; null where it has none. */
  energy(): number | null;
  /** Gives cached memory back to the system. */
  trim(): void;
  /** Resolves when every operation enqueued so far has finished; rejects with the error of the first that failed. */
  synchronize(): Promise<void>;
  /** Notes the time at which the queue comes by, in one of 4096 slots; part of a graph where one is captured. */
  mark(slot: number): void;
  /**
   * Waits, then tells the times noted in the first `count` slots, in seconds since that in slot 0.
   * @throws RangeError where one of them was never marked
   */
  marks(count: number): Promise<Float64Array>;
  /**
   * From here to `endCapture`, operations are checked and recorded instead of run. `write`, `prefetch`, `read` and
   * `synchronize` throw meanwhile.
   */
  beginCapture(): void;
  /** The operations since `beginCapture`, to be run over the same memory as often as wanted. */
  endCapture(): Graph;
}

/** Recorded operations: a CUDA graph on `cuda` (and `simt`), a list on `cpu`. Keeps the memory they touch. */
export class Graph {
  /** Made by `Device.endCapture`. */
  private constructor();
  /** Enqueues all of them. */
  launch(): void;
  /** Lets go of the operations and of the memory they touch, once what is enqueued has run. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/**
 * A handle on memory of a device: row-major elements, or a strided view of such. Its methods throw `TypeError` where it
 * was disposed of, and `RangeError` for a shape or a place that does not fit.
 */
export class Tensor<D extends DType = DType> {
  /** Uninitialised memory. @throws OutOfMemoryError */
  constructor(device: Device, dtype: D, shape: readonly number[]);
  readonly device: Device;
  readonly dtype: D;
  readonly shape: number[];
  /** Elements. */
  readonly size: number;
  readonly byteLength: number;
  /** Whether the elements lie one after another: not so in a view that `narrow` cut from the inside. */
  readonly contiguous: boolean;
  readonly disposed: boolean;
  /** The same memory in another shape of as many elements; of a contiguous tensor only. */
  reshape(shape: readonly number[]): Tensor<D>;
  /** The same memory, only `length` entries from `start` along `dimension`. */
  narrow(dimension: number, start: number, length: number): Tensor<D>;
  /** Copies `data` (which may be changed at once) to the device; to a contiguous tensor only. */
  write(data: ArrayOf[D]): void;
  /**
   * As `write`, but the data crosses to the device while operations enqueued before still run, those on this tensor
   * too; only the copy from where it arrives has its turn after them. That takes the memory of the tensor once more,
   * from the first time on until it is freed. On `cpu`, where nothing has to cross, it is `write`.
   * @throws OutOfMemoryError
   */
  prefetch(data: ArrayOf[D]): void;
  /** Waits for the operations before it and copies to the host; from a contiguous tensor only. */
  read(): Promise<ArrayOf[D]>;
  /** Lets go of the memory, which is freed with its last view and the last operation that uses it. */
  dispose(): void;
  /** Frees the memory after the last operation that uses it: disposes of this tensor and of all views of its memory. */
  free(): void;
  [Symbol.dispose](): void;
}

/** What `backends()` tells of a backend. */
export interface BackendReport {
  name: BackendName;
  available: boolean;
  /** Why it is not available; null where it is. */
  problem: string | null;
  versions: Record<string, string>;
  devices: { name: string; totalBytes: number; nativeBf16: boolean }[];
}

/** The sizes and ranges that hold on every backend (`native/core/limits.h`); lib/limits.ts has the same numbers. */
export interface Limits {
  /** The head dimensions of attention, ascending. */
  headDims: number[];
  /** Most dimensions of a tensor. */
  maxRank: number;
  /** Most elements of a tensor. */
  maxElements: number;
  /** The largest seed, offset and counter. */
  maxWholeNumber: number;
  maxDeviceIndex: number;
  maxThreads: number;
  /** Slots of `Device.mark`. */
  markSlots: number;
  /** Elements of the tensor `hyper` of `adamw`: `AdamWHyper` in `native/kernels.h`. */
  adamwHyperSize: number;
}

/**
 * How an operation reads an argument: a tensor, a tensor or null, a number, a whole number, a boolean, a device.
 */
export type ParameterKind = "tensor" | "optional" | "number" | "whole" | "boolean" | "device";

/** The parameters of an operation, in order, and what it returns. */
export interface Signature {
  parameters: { name: string; kind: ParameterKind }[];
  returns: "void" | "number";
}

export const limits: Limits;
/** What each operation below asks for, as its code reads it; a test holds this file against it. */
export function signatures(): Record<string, Signature>;
export function backends(): BackendReport[];
export function setErrorClasses(classes: {
  TypeError: new (message: string) => Error;
  RangeError: new (message: string) => Error;
  DeviceError: new (message: string) => Error;
  OutOfMemoryError: new (message: string, requestedBytes: number, freeBytes: number) => Error;
}): void;

export function fill(out: Tensor, value: number): void;
export function copy(out: Tensor, source: Tensor): void;
export function normal(out: Tensor, std: number, seed: number, offset: number): void;
export function rotaryTable(table: Tensor, inverseFrequencies: Tensor): void;
export function matmul(
  c: Tensor,
  a: Tensor,
  b: Tensor,
  transposeA: boolean,
  transposeB: boolean,
  accumulate: boolean,
): void;
export function sum(out: Tensor, values: Tensor, accumulate: boolean): void;

export function patchEmbeddingForward(out: Tensor, tokens: Tensor, table: Tensor): void;
export function patchEmbeddingBackward(dtable: Tensor, dout: Tensor, tokens: Tensor, workspace: Tensor): void;
export function patchEmbeddingBackwardWorkspace(device: Device, tokens: number, vocabulary: number): number;
export function rmsNormForward(
  out: Tensor,
  sum: Tensor | null,
  rstd: Tensor,
  x: Tensor,
  add: Tensor | null,
  weight: Tensor,
  epsilon: number,
): void;
export function rmsNormBackward(
  dx: Tensor,
  dweight: Tensor,
  dout: Tensor,
  sum: Tensor,
  rstd: Tensor,
  weight: Tensor,
  workspace: Tensor,
  accumulate: boolean,
): void;
export function rmsNormBackwardWorkspace(device: Device, rows: number, cols: number): number;
export function rotary(x: Tensor, table: Tensor, offset: number, inverse: boolean): void;
export function attentionForward(out: Tensor, lse: Tensor, q: Tensor, k: Tensor, v: Tensor, scale: number): void;
export function attentionBackward(
  dq: Tensor,
  dk: Tensor,
  dv: Tensor,
  dout: Tensor,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  out: Tensor,
  lse: Tensor,
  workspace: Tensor,
  scale: number,
): void;
export function attentionBackwardWorkspace(
  device: Device,
  batch: number,
  queries: number,
  keys: number,
  heads: number,
  kvHeads: number,
  headDim: number,
): number;
export function swigluForward(out: Tensor, gateUp: Tensor): void;
export function swigluBackward(dgateUp: Tensor, dout: Tensor, gateUp: Tensor): void;

export function patchLabels(labels: Tensor, tokens: Tensor, positions: number): void;
export function labelCoefficients(coefficients: Tensor, labels: Tensor, weights: Tensor): void;
export function crossEntropy(
  losses: Tensor,
  logits: Tensor,
  labels: Tensor,
  coefficients: Tensor,
  gradient: boolean,
): void;
export function gradNorm(norm: Tensor, grad: Tensor, workspace: Tensor): void;
export function gradNormWorkspace(device: Device, size: number): number;
export function adamw(
  param: Tensor,
  master: Tensor,
  m: Tensor,
  v: Tensor,
  steps: Tensor,
  corrections: Tensor,
  grad: Tensor,
  norm: Tensor,
  hyper: Tensor,
  decayed: number,
): void;
export function sample(
  out: Tensor,
  logits: Tensor,
  workspace: Tensor,
  temperature: number,
  topK: number,
  topP: number,
  seed: number,
  counter: number,
): void;
export function sampleWorkspace(device: Device, rows: number, vocabulary: number): number;
