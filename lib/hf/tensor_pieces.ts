/** Tensors of a checkpoint, read piece by piece: an embedding of gigabytes takes no more memory than a norm. */
import { byteSize } from "./dtypes.js";
import type { SafetensorsFile } from "./safetensors.js";

/** What tensors are read from: a file, or the files of a folder. */
export type TensorSource = Pick<SafetensorsFile, "info" | "readInto">;

/** The most bytes of a piece, unless a unit has more: reads of this size reach a disk's bandwidth. */
export const PIECE_BYTES = 2 ** 24;

/** A part of a tensor. */
export interface TensorPiece {
  /** Where it begins, in bytes from the tensor's first. */
  readonly offset: number;
  /** Its bytes, aligned for any typed array. */
  readonly bytes: Uint8Array;
}

/**
 * All of a tensor, in order. A piece is overwritten when the next is asked for.
 * @param unitBytes pieces are whole units of so many bytes; they divide the tensor
 * @throws CheckpointError as `readInto`
 */
export async function* tensorPieces(
  source: TensorSource,
  name: string,
  unitBytes: number,
): AsyncGenerator<TensorPiece, void> {
  const { dtype, shape } = source.info(name);
  const size = byteSize(dtype, shape);
  const most = Math.max(1, Math.floor(PIECE_BYTES / unitBytes)) * unitBytes;
  const buffer = new Uint8Array(Math.min(size, most));
  for (let offset = 0; offset < size; offset += most) {
    const bytes = buffer.subarray(0, Math.min(most, size - offset));
    await source.readInto(name, offset, bytes);
    yield { offset, bytes };
  }
}
