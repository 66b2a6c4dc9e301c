/** Compressed data that comes to far more than text would: a few kilobytes can stand for terabytes. */
import { inBytes, inputLimits } from "../../disk/input_limits.js";
import { DataError } from "../../errors.js";

const { expandedBytes, expansion } = inputLimits;

/** Whether `bytes` of compressed data may come to `given`. */
export function mayExpand(bytes: number, given: number): boolean {
  return given <= expandedBytes || given <= expansion * bytes;
}

/** Throws DataError if the first `bytes` of a file come to more than compressed text does. */
export function checkExpansion(file: string, bytes: number, given: number): void {
  if (mayExpand(bytes, given)) return;
  throw new DataError(
    `${file}: expected compressed data that comes to at most ${expansion} times its bytes, or ` +
      `${inBytes(expandedBytes)}, but received more; if it is what you mean to read, decompress it first`,
  );
}

/** Throws an Error if a block of a file says that it comes to more, before memory is taken for it. */
export function checkBlock(bytes: number, given: number): void {
  if (!(given >= 0 && mayExpand(bytes, given))) throw new Error(`a block of ${bytes} bytes that comes to ${given}`);
}
