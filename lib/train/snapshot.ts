/** A copy of what a checkpoint is written from, in memory of the host that is taken once: training goes on meanwhile. */
import { OutOfMemoryError } from "../errors.js";
import { PIECE_BYTES } from "../hf/tensor_pieces.js";
import { type Device, type DType, NativeDevice, native, Tensor } from "../native.js";
import { disposeAll } from "../nn/buffers.js";
import type { FlatTensors } from "./checkpoint.js";

/** The share of the host's memory that must stay free beside a copy. */
const SPARE = 0.1;

/** Copies that are under way at once: the next one begins while the last is put away. */
const AHEAD = 4;

/** Elements that are copied at once. */
const PIECE = PIECE_BYTES / 4;

export class Snapshot {
  private constructor(private readonly tensors: FlatTensors) {}

  /** Takes the memory for copies of these tensors; null: it does not fit. */
  static async allocate(like: FlatTensors): Promise<Snapshot | null> {
    const device = hostOf(like.compute.device);
    const taken: Tensor[] = [];
    const take = <D extends DType>({ dtype, size }: Tensor<D>): Tensor<D> => {
      const tensor = new Tensor(device, dtype, [size]);
      taken.push(tensor);
      native.fill(tensor, 0); // so that the system has really given it
      return tensor;
    };
    const { freeBytes, totalBytes } = device.memory();
    if (snapshotBytes(like) > freeBytes - SPARE * totalBytes) return null;
    try {
      const trainer = Object.fromEntries(
        Object.entries(like.trainer).map(([name, { flat, offset }]) => [name, { flat: take(flat), offset }]),
      );
      const compute = isMaster(like) ? trainer.master!.flat : take(like.compute);
      await device.synchronize();
      return new Snapshot({ compute, trainer });
    } catch (error) {
      disposeAll(taken);
      if (error instanceof OutOfMemoryError) return null;
      throw error;
    }
  }

  /** Copies the tensors as they are after the operations so far, and returns the copies. */
  async copy(from: FlatTensors): Promise<FlatTensors> {
    const pairs = Object.entries(from.trainer).map(
      ([name, { flat }]) => [flat, this.tensors.trainer[name]!.flat] as const,
    );
    if (!isMaster(from)) pairs.push([from.compute as Tensor<"f32">, this.tensors.compute as Tensor<"f32">]);
    const running: Promise<void>[] = [];
    for (const [source, target] of pairs) {
      for (let begin = 0; begin < source.size; begin += PIECE) {
        const count = Math.min(PIECE, source.size - begin);
        if (running.length === AHEAD) await running.shift();
        const piece = source.narrow(0, begin, count).readInto(target.narrow(0, begin, count));
        piece.catch(() => undefined); // awaited below, unless one before it fails
        running.push(piece);
      }
    }
    await Promise.all(running);
    return this.tensors;
  }

  dispose(): void {
    const { compute, trainer } = this.tensors;
    disposeAll([compute, ...Object.values(trainer).map(({ flat }) => flat)]);
  }
}

/** The size of a copy. */
export function snapshotBytes(tensors: FlatTensors): number {
  const trainer = Object.values(tensors.trainer).reduce((sum, { flat }) => sum + flat.byteLength, 0);
  return trainer + (isMaster(tensors) ? 0 : tensors.compute.byteLength);
}

/** In fp32 the weights are the master weights. */
const isMaster = ({ compute, trainer }: FlatTensors): boolean => compute === trainer.master!.flat;

/** The host's memory, with a queue of its own: reading a copy does not wait for the run's steps. */
function hostOf(device: Device): Device {
  return new NativeDevice("cpu", 0, device.backend === "cpu" && device.threads === 1 ? 2 : 1);
}
