/**
 * The whole interface of the native addon, typed by hand. `native/kernels.h` defines what each operation computes,
 * with its shapes and dtypes; this file gives the JavaScript names and argument orders, outputs first.
 *
 * `dt` is f32 or bf16, the same for all arguments marked so in one call. Every operation checks its arguments, is
 * enqueued on the device of its tensors and returns at once, but where 4096 of them wait in the device's queue: then it
 * returns when there is room. A wrong argument throws `TypeError` (kind, dtype, device)
 * or `RangeError` (shape, value) that names the operation, the argument, what was expected and what was received.
 */

/** The element type of a tensor; bf16 is the upper half of an f32. */
export type DType = "f32" | "bf16" | "i32";
/** The implementations of the operations; `simt` runs the CUDA sources on the host, for tests. */
export type BackendName = "cpu" | "cuda" | "simt";

/** The typed array that has a tensor's elements as they are; of bf16 the 16 raw bits. */
export interface ArrayOf {
  f32: Float32Array;
  bf16: Uint16Array;
  i32: Int32Array;
}

/** The typed array that has the numbers of a tensor of each dtype. */
export interface NumbersOf {
  f32: Float32Array;
  bf16: Float32Array;
  i32: Int32Array;
}

/** The memory of a device, as returned by `device.memory()`. */
export interface MemoryCounters {
  /**
   * Memory of the device, total and free, in bytes. On `cpu`, total is the machine's or the lowest limit on it, and free
   * is what can be allocated beside all tensors, written or not, under every limit.
   */
  totalBytes: number;
  freeBytes: number;
  /** What sets `freeBytes` on `cpu`: the kernel's file, or the limit; null: the device's own memory. */
  limitedBy: string | null;
  /** Bytes in use by live tensors and the workspace: now, and the peak so far. */
  usedBytes: number;
  peakUsedBytes: number;
  /** Bytes of workspace for matrix products, held while the device is open (on `cuda`). */
  workspaceBytes: number;
  /** Bytes taken from the system: those in use and cached blocks. */
  reservedBytes: number;
  /** Bytes of host memory that copies pass through; page-locked if the backend supports it. */
  stagingBytes: number;
  /** Calls to the system's allocators so far; constant after a training loop's first step. */
  systemAllocations: number;
}

/** A matrix product c [m, n] = op(a) [m, k] op(b) [k, n], as far as the choice of its algorithm depends on it. */
export interface Product {
  m: number;
  n: number;
  k: number;
  transposeA: boolean;
  transposeB: boolean;
  /** Of a and b. */
  inputs: "f32" | "bf16";
  /** Of c. */
  output: "f32" | "bf16";
  /** The largest powers of two, up to 256, that divide the addresses of a, b and c. */
  alignment: [number, number, number];
}

/** A product that a device has computed. */
export interface SeenProduct extends Product {
  /** How often it was enqueued without `accumulate`, and with it; a recorded one counts once. */
  writes: number;
  adds: number;
  /** Whether it took its algorithm from the device's table. */
  inTable: boolean;
}

/** A product with its algorithm: 64 bytes that the library wrote, and that the same version of it can read. */
export interface TableProduct extends Product {
  algorithm: Uint8Array;
}

/** An opened device: its memory, and its in-order queue of operations. */
export class Device {
  /**
   * A handle; all handles on one device with the same number of threads share its queue and its memory.
   * @param index which of the backend's devices
   * @param threads host threads that compute (`cpu` and `simt`); 0: all available cores
   * @throws RangeError for another backend; DeviceError if there is no such device, saying why
   */
  constructor(backend: BackendName, index: number, threads: number);
  readonly backend: BackendName;
  readonly index: number;
  /** Host threads as requested; 0: all available cores. */
  readonly threads: number;
  readonly name: string;
  /** Whether bf16 products run faster than f32 ones. */
  readonly nativeBf16: boolean;
  /** A GPU's compute capability, such as `9.0`; null if the device is no GPU. */
  readonly computeCapability: string | null;
  /**
   * Name and version of the library of matrix products, if it has several algorithms for each; else null, and the three
   * methods for products throw `DeviceError`.
   */
  readonly productLibrary: string | null;
  memory(): MemoryCounters;
  /** Joules the device has used since power-on, from its own counter; null if it has none. */
  energy(): number | null;
  /** Returns cached memory to the system, but for what operations in the queue still use. */
  trim(): void;
  /** Resolves when every operation enqueued so far has finished; rejects with the error of the first that failed. */
  synchronize(): Promise<void>;
  /** Records a timestamp in one of 4096 slots when the queue reaches this point; part of the graph if captured. */
  mark(slot: number): void;
  /**
   * Waits, then returns the times recorded in the first `count` slots, in seconds since that in slot 0.
   * @throws RangeError if one of them was never marked
   */
  marks(count: number): Promise<Float64Array>;
  /**
   * From here to `endCapture`, operations are checked and recorded instead of run. `write`, `prefetch`, `read` and
   * `synchronize` throw until then.
   */
  beginCapture(): void;
  /** The operations since `beginCapture`; they can be launched any number of times, on the same memory. */
  endCapture(): Graph;
  /** The products enqueued since the device was opened or `useProductTable` was called. */
  products(): Promise<SeenProduct[]>;
  /**
   * The algorithms that the library suggests for a product, the one that it expects to be the fastest first: that one
   * computes the product if it is not in the table. They may add in different orders.
   */
  productAlgorithms(product: Product): Promise<Uint8Array[]>;
  /**
   * From here on, computes these products by these algorithms, instead of those of an earlier table. Graphs keep what
   * they were recorded with.
   * @throws RangeError (the promise) if the library refuses an algorithm; the earlier table is kept
   */
  useProductTable(table: readonly TableProduct[]): Promise<void>;
}

/**
 * Recorded operations: a CUDA graph on `cuda` (and `simt`), a list on `cpu`. Keeps the memory they use alive.
 *
 * @example
 * ```ts
 * import { Device, patchEmbedding, Tensor } from "nextpatch/kernels";
 *
 * const device = Device.open("auto");
 * const tokens = new Tensor(device, "i32", [8]);
 * const table = new Tensor(device, "f32", [16, 4]);
 * const out = new Tensor(device, "f32", [2, 4]);
 * device.beginCapture();
 * patchEmbedding(tokens, table, { patchSize: 4, out });
 * using graph = device.endCapture();
 * tokens.write(Int32Array.of(0, 1, 2, 3, 4, 5, 6, 7));
 * table.write(new Float32Array(table.size).fill(1));
 * graph.launch(); // any number of times, each with what the tensors hold then
 * console.log(await out.read());
 * ```
 */
export class Graph {
  /** Made by `Device.endCapture`. */
  private constructor();
  /** Enqueues all recorded operations. */
  launch(): void;
  /** Releases the operations and the memory they use; launches already enqueued still run. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/**
 * A handle on memory of a device: row-major elements, or a strided view of them. Its methods throw `TypeError` after it
 * was disposed of, and `RangeError` for a shape or a position that does not fit.
 */
export class Tensor<D extends DType = DType> {
  /** Uninitialised memory. @throws OutOfMemoryError */
  constructor(device: Device, dtype: D, shape: readonly number[]);
  readonly device: Device;
  readonly dtype: D;
  readonly shape: number[];
  /** The number of elements. */
  readonly size: number;
  readonly byteLength: number;
  /** Whether the elements are adjacent in memory; false, for example, after `narrow` along an inner dimension. */
  readonly contiguous: boolean;
  readonly disposed: boolean;
  /** The same memory in another shape with as many elements; contiguous tensors only. */
  reshape(shape: readonly number[]): Tensor<D>;
  /** The same memory, only `length` entries from `start` along `dimension`. */
  narrow(dimension: number, start: number, length: number): Tensor<D>;
  /**
   * Copies `data` (which may be changed as soon as this returns) to the device; contiguous tensors only. Waits while the
   * queue holds more than 64 MiB of earlier writes.
   */
  write(data: ArrayOf[D]): void;
  /**
   * As `write`, but the transfer to the device overlaps operations enqueued before, even those on this tensor: the data
   * goes to a second buffer, and only the copy from there to the tensor runs after them. The buffer takes as much
   * memory as the tensor, from the first call until the tensor is freed. On `cpu` there is no transfer: as `write`.
   * @throws OutOfMemoryError
   */
  prefetch(data: ArrayOf[D]): void;
  /** Waits for the operations before it and copies the numbers to the host; contiguous tensors only. */
  read(): Promise<NumbersOf[D]>;
  /** As `read`, the elements as they are: what `write` takes. */
  readBits(): Promise<ArrayOf[D]>;
  /**
   * As `readBits`, into memory that was taken before: a typed array of as many elements on a `SharedArrayBuffer`, which,
   * unlike an `ArrayBuffer`, stays where it is until the promise is settled.
   */
  readInto(target: ArrayOf[D]): Promise<void>;
  /**
   * Releases this handle. With its last view the memory is free: the next tensor may have it at once, as all that is
   * enqueued for it runs after the operations enqueued before.
   */
  dispose(): void;
  /** Frees the memory: disposes of this tensor and of all views of it. */
  free(): void;
  [Symbol.dispose](): void;
}

/** What `backends()` reports about a backend. */
export interface BackendReport {
  name: BackendName;
  available: boolean;
  /** Why it is not available; null if it is. */
  problem: string | null;
  versions: Record<string, string>;
  devices: DeviceReport[];
}

/** What `backends()` reports about a device. */
export interface DeviceReport {
  name: string;
  totalBytes: number;
  nativeBf16: boolean;
  /** The compiled code that it runs, as `machine code for sm_80`; null if there is none, and it cannot be opened. */
  code: string | null;
}

/** The sizes and ranges that hold on every backend (`native/core/limits.h`); lib/limits.ts has the same numbers. */
export interface Limits {
  /** The head dimensions of attention, ascending. */
  headDims: number[];
  /** The most dimensions of a tensor. */
  maxRank: number;
  /** The most elements of a tensor. */
  maxElements: number;
  /** The largest seed, offset and counter. */
  maxWholeNumber: number;
  maxDeviceIndex: number;
  maxThreads: number;
  /** The number of slots of `Device.mark`. */
  markSlots: number;
  /** The number of elements of `adamw`'s tensor `hyper`: `AdamWHyper` in `native/kernels.h`. */
  adamwHyperSize: number;
  /** The number of elements of the tensor `hyper` of Muon's operations: `MuonHyper`. */
  muonHyperSize: number;
}

/**
 * How an operation reads an argument: a tensor, a tensor or null, a number, a whole number, a boolean, a device.
 */
export type ParameterKind = "tensor" | "optional" | "number" | "whole" | "boolean" | "device";

/** The parameters of an operation, in order, and what it returns. */
export interface Signature {
  /** `written`: a tensor that the operation writes to. It may overlap no other, but where native/kernels.h says so. */
  parameters: { name: string; kind: ParameterKind; written: boolean }[];
  returns: "void" | "number";
}

export const limits: Limits;
/** The parameters of each operation below, as its code reads them; a test compares this file with them. */
export function signatures(): Record<string, Signature>;
/** The version of the package that the addon was built of. */
export const version: string;
export function backends(): BackendReport[];
/** A folder to look for backends in, after the addon's own and those added before. */
export function addBackendFolder(folder: string): void;
/** A backend's library that is never opened, and the problem to report of it. */
export function excludeLibrary(file: string, problem: string): void;
/** The problem to report of a backend that no folder has, unless a build left a note why. */
export function explainMissing(backend: string, problem: string): void;
/** The libraries that a backend may be opened from, best first. */
export function backendLibraries(backend: string): string[];
/** Opens one of them: null if it lists devices, else what is wrong with it. */
export function tryLibrary(file: string): string | null;

/** What `engine()` reports about an engine of many ranks. */
export interface EngineReport {
  name: "openmpi" | "mpich" | "nccl";
  available: boolean;
  /** Why it is not available; null if it is. */
  problem: string | null;
  /** Its library and version, as `Open MPI 4.1.4`; null if it is not available. */
  library: string | null;
}

/** An engine; opens it. */
export function engine(name: "openmpi" | "mpich" | "nccl"): EngineReport;
/**
 * Makes this process a rank; resolves when all are there. All end where one is lost or silent, or has not come to an
 * operation that others have waited in for `timeout` seconds.
 * @throws DeviceError
 */
export function joinRanks(
  device: Device,
  engine: "openmpi" | "mpich",
  timeout: number,
): Promise<{ rank: number; size: number; host: string }>;
/**
 * The same by NCCL. Rank 0 listens at `port`, the others find it at `address`; one rank alone needs neither.
 * @throws DeviceError
 */
export function meetRanks(
  device: Device,
  rank: number,
  size: number,
  address: string,
  port: number,
  timeout: number,
): Promise<{ rank: number; size: number; host: string }>;
/** A step of a loop that all ranks are in begins. @throws DeviceError of a device that has not joined */
export function beginStep(device: Device): void;
/**
 * Waits until all ranks have called it, after the same step.
 * @throws DeviceError (the promise) that names one that has begun another step instead
 */
export function leaveLoop(device: Device): Promise<void>;
/** Waits until all ranks have called it; there are no operations on all ranks after it. */
export function leaveRanks(device: Device): Promise<void>;
/** Bytes of tensors that this rank has sent to others; 0 of a device that has not joined, or has left. */
export function rankBytes(device: Device): number;
/**
 * Operations that all ranks call, in the same order, on the same sizes (`native/core/collectives.h`); on a device that
 * has not joined they throw `DeviceError`. N is the number of ranks.
 *
 * out [n/N] f32 = this rank's block of the sum of the ranks' input [n] f32; out may be that block of input.
 * @param beside whether what is enqueued after it runs beside it, and touches none of its tensors, until `awaitRanks`, a
 *   `read` or `synchronize`; else that waits for it
 */
export function reduceScatter(out: Tensor, input: Tensor, beside: boolean): void;
/** out [n] = the ranks' input [n/N], one after the other, of any dtype; input may be this rank's block of out. */
export function allGather(out: Tensor, input: Tensor, beside: boolean): void;
/** values = the sum of the ranks' values, f32. */
export function allReduce(values: Tensor): void;
/** What is enqueued from here on waits for all operations that run beside it but the last `left`; no rank waits for another. */
export function awaitRanks(device: Device, left: number): void;

/** Whether two live tensors share memory. */
export function overlap(a: Tensor, b: Tensor): boolean;

export function setErrorClasses(classes: {
  TypeError: new (message: string) => Error;
  RangeError: new (message: string) => Error;
  DeviceError: new (message: string) => Error;
  OutOfMemoryError: new (message: string, requestedBytes: number, freeBytes: number) => Error;
}): void;

export function fill(out: Tensor, value: number): void;
export function copy(out: Tensor, source: Tensor): void;
export function normal(out: Tensor, std: number, seed: number, offset: number): void;
export function rotaryTable(table: Tensor, inverseFrequencies: Tensor, scale: number): void;
export function firstNonFinite(out: Tensor, values: Tensor): void;
export function matmul(
  c: Tensor,
  a: Tensor,
  b: Tensor,
  transposeA: boolean,
  transposeB: boolean,
  accumulate: boolean,
): void;
export function batchedMatmul(
  c: Tensor,
  a: Tensor,
  b: Tensor,
  add: Tensor | null,
  transposeA: boolean,
  transposeB: boolean,
  alpha: number,
  beta: number,
): void;
export function sum(out: Tensor, values: Tensor, accumulate: boolean): void;

export function patchEmbeddingForward(out: Tensor, tokens: Tensor, table: Tensor, scale: number): void;
export function patchEmbeddingBackward(
  dtable: Tensor,
  dout: Tensor,
  tokens: Tensor,
  workspace: Tensor,
  scale: number,
): void;
export function patchEmbeddingBackwardWorkspace(device: Device, tokens: number, vocabulary: number): number;
export function rmsNormForward(
  out: Tensor,
  sum: Tensor | null,
  rstd: Tensor,
  x: Tensor,
  add: Tensor | null,
  weight: Tensor,
  epsilon: number,
  weightOffset: number,
): void;
export function rmsNormResidualForward(
  out: Tensor,
  rstd: Tensor,
  residual: Tensor,
  x: Tensor,
  weight: Tensor,
  epsilon: number,
  weightOffset: number,
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
  weightOffset: number,
): void;
export function rmsNormBackwardWorkspace(device: Device, rows: number, cols: number): number;
export function rotary(x: Tensor, table: Tensor, offset: number, inverse: boolean): void;
export function qkNormForward(
  out: Tensor,
  rstd: Tensor,
  x: Tensor,
  weight: Tensor,
  table: Tensor | null,
  offset: number,
  epsilon: number,
  weightOffset: number,
): void;
export function qkNormBackward(
  dx: Tensor,
  dweight: Tensor,
  dout: Tensor,
  x: Tensor,
  rstd: Tensor,
  weight: Tensor,
  workspace: Tensor,
  weightOffset: number,
): void;
export function qkNormBackwardWorkspace(device: Device, positions: number, heads: number, headDim: number): number;
export function biasForward(x: Tensor, bias: Tensor): void;
export function biasBackward(dbias: Tensor, dout: Tensor, workspace: Tensor): void;
export function biasBackwardWorkspace(device: Device, rows: number, cols: number): number;
/** `window`: how many keys a query sees, up to its own; 0: all. */
export function attentionForward(
  out: Tensor,
  lse: Tensor,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  scale: number,
  window: number,
): void;
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
  rotaryTable: Tensor | null,
  scale: number,
  window: number,
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
export function gegluForward(out: Tensor, gateUp: Tensor): void;
export function gegluBackward(dgateUp: Tensor, dout: Tensor, gateUp: Tensor): void;

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
export function guardNorm(measured: Tensor, norm: Tensor, loss: Tensor, limits: Tensor): void;
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
export function muonMomentum(
  out: Tensor,
  momentum: Tensor,
  grad: Tensor,
  norm: Tensor,
  hyper: Tensor,
  workspace: Tensor,
  nesterov: boolean,
): void;
export function muonMomentumWorkspace(device: Device, matrices: number, elements: number): number;
export function muonUpdate(
  param: Tensor,
  master: Tensor,
  update: Tensor,
  norm: Tensor,
  hyper: Tensor,
  scale: number,
): void;
export function sample(
  out: Tensor,
  logits: Tensor,
  history: Tensor | null,
  streams: Tensor | null,
  workspace: Tensor,
  repetitionPenalty: number,
  temperature: number,
  topK: number,
  topP: number,
  minP: number,
  seed: number,
  counter: number,
): void;
export function sampleWorkspace(device: Device, rows: number, vocabulary: number): number;
