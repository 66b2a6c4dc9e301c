/** The bytes of files, of pipes and of standard input. */
import { createReadStream } from "node:fs";
import { DataError, unusable } from "../../errors.js";
import { isLfsPointer } from "./magic.js";

/** Bytes of a file read at a time. */
const READ = 1 << 20;

/** The name that stands for standard input. */
export const STANDARD_INPUT = "-";

/**
 * Reads a file or pipe from beginning to end.
 * @param file its name in messages
 * @param expected what should be in it, for messages
 */
export async function* readBytes(
  path: string,
  file: string,
  expected: string,
  onBytes?: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const stream = path === STANDARD_INPUT ? process.stdin : createReadStream(path, { highWaterMark: READ });
  let isFirst = true;
  try {
    if (stream.destroyed) throw stream.errored ?? new Error("it was closed"); // it would never end
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      if (isFirst) refuseStandIn(chunk, file, expected);
      isFirst = false;
      onBytes?.(chunk.length);
      yield chunk;
    }
  } catch (cause) {
    if (cause !== stream.errored) throw cause;
    throw new DataError(`${file}: expected ${expected} but received ${unusable(cause)}`, { cause });
  }
}

/** Throws DataError if this is the beginning of what Git LFS leaves where the data was not downloaded. */
export function refuseStandIn(start: Uint8Array, file: string, expected: string): void {
  if (!isLfsPointer(start)) return;
  throw new DataError(
    `${file}: expected ${expected} but received a Git LFS pointer to it; fetch the data with: git lfs pull`,
  );
}
