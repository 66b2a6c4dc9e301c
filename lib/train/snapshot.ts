/** A copy of what a checkpoint is written from, in memory of the host that is taken once: training goes on meanwhile. */
import { bytesOf } from "../device.js";
import { PIECE_BYTES } from "../hf/tensor_pieces.js";
import { type DType, NativeDevice, type Tensor } from "../native.js";
import type { FlatElements } from "../nn/parameter_transfer.js";
import { type CheckpointSource, type FlatTensors, sourceOf } from "./flat_tensors.js";

/** The share of the host's memory that must stay free beside a copy. */
const SPARE = 0.1;

/** Copies that are under way at once: the next one begins while the last is put away. */
const AHEAD = 4;

/** Elements of a block of memory, and of what is copied at once. */
const BLOCK = 2 ** 28;
const PIECE = PIECE_BYTES / 4;

export class Snapshot {
  private constructor(
    private readonly tensors: FlatTensors,
    private readonly pairs: readonly { readonly from: Tensor; readonly to: HostCopy }[],
    readonly source: CheckpointSource,
  ) {}

  /** Takes the memory for copies of tensors; null: it does not fit. */
  static allocate(tensors: FlatTensors): Snapshot | null {
    const { device } = tensors.compute;
    const host = device.backend === "cpu" ? device : new NativeDevice("cpu", 0, 1);
    const { freeBytes, totalBytes } = host.memory();
    if (snapshotBytes(tensors) > freeBytes - SPARE * totalBytes) return null;
    try {
      const copies = new Map<Tensor, HostCopy>();
      for (const tensor of distinct(tensors)) copies.set(tensor, new HostCopy(tensor.dtype, tensors.sizeOf(tensor)));
      const pairs = [...copies].map(([from, to]) => ({ from, to }));
      return new Snapshot(
        tensors,
        pairs,
        sourceOf(tensors, (flat) => copies.get(flat)!),
      );
    } catch (error) {
      if (error instanceof RangeError) return null; // the engine's, for an array that cannot be had
      throw error;
    }
  }

  /** Copies the tensors as they are after the operations so far. */
  async copy(): Promise<void> {
    const running: Promise<void>[] = [];
    for (const { from: flat, to } of this.pairs) {
      for (const range of this.tensors.rangesOf(flat)) {
        const from = this.tensors.whole(flat, range);
        for (let begin = 0; begin < range.size; ) {
          const count = roomAt(range.begin + begin, Math.min(PIECE, range.size - begin));
          if (running.length === AHEAD) await running.shift();
          const piece = from.narrow(0, begin, count).readInto(to.elements(range.begin + begin, count));
          piece.catch(() => undefined); // awaited below, unless one before it fails
          running.push(piece);
          begin += count;
        }
      }
    }
    await Promise.all(running);
  }
}

/** How many of so many elements are in the block that the first is in. */
const roomAt = (offset: number, count: number): number => Math.min(count, BLOCK - (offset % BLOCK));

/** Memory of a flat tensor's size: blocks, as an array cannot have more elements than 2^32. */
class HostCopy implements FlatElements {
  readonly dtype: "f32" | "bf16";
  readonly #blocks: readonly (Float32Array | Uint16Array)[];

  constructor(dtype: DType, size: number) {
    this.dtype = dtype as "f32" | "bf16";
    this.#blocks = Array.from({ length: Math.ceil(size / BLOCK) }, (_, index) => {
      const count = Math.min(BLOCK, size - index * BLOCK);
      const memory = new SharedArrayBuffer(count * bytesOf(dtype));
      // Filled, so that the system has really given it.
      return dtype === "bf16" ? new Uint16Array(memory).fill(0) : new Float32Array(memory).fill(0);
    });
  }

  /** So many elements within a block. */
  elements(offset: number, count: number): Float32Array | Uint16Array {
    const within = offset % BLOCK;
    return this.#blocks[Math.floor(offset / BLOCK)]!.subarray(within, within + count);
  }

  *pieces(offset: number, count: number): Iterable<Uint8Array> {
    for (let begin = offset; begin < offset + count; ) {
      const most = roomAt(begin, Math.min(offset + count - begin, PIECE));
      const { buffer, byteOffset, byteLength } = this.elements(begin, most);
      yield new Uint8Array(buffer, byteOffset, byteLength);
      begin += most;
    }
  }
}

/** The size of a copy. */
export function snapshotBytes(tensors: FlatTensors): number {
  return distinct(tensors).reduce((sum, flat) => sum + tensors.sizeOf(flat) * bytesOf(flat.dtype), 0);
}

/** In fp32 the weights are the master weights. */
function distinct({ compute, trainer }: FlatTensors): Tensor[] {
  return [...new Set<Tensor>([...Object.values(trainer).map(({ flat }) => flat), compute])];
}
