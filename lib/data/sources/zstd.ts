/**
 * zstd, with every check that the format has: the content's XXH64, its size, and the structure of each block. No
 * package does that as a stream, in bounded memory and for the windows of `--long` on every supported Node: Node's own
 * reader begins with Node 22.15, the WebAssembly ones cannot hold a window of 2 GiB, and those in JavaScript verify
 * nothing.
 */
import xxhash from "xxhash-wasm";
import { ByteReader, CUT_SHORT } from "./byte_reader.js";
import { decodeFrames } from "./zstd/frame.js";

/** The content of zstd data: any number of frames. Throws an Error that says what is damaged. */
export async function* unzstd(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(bytes);
  const steps = decodeFrames(await xxhash());
  try {
    for (let step = steps.next(); !step.done; ) {
      if (step.value instanceof Uint8Array) {
        yield step.value;
        step = steps.next();
        continue;
      }
      const { bytes: count, orEnd = false } = step.value;
      const read = await reader.upTo(count);
      if (read.length < count && !(orEnd && read.length === 0)) throw new Error(CUT_SHORT);
      step = steps.next(read);
    }
  } finally {
    await reader.close();
  }
}

/** A function that gives the content of zstd data that is in memory, of at most `most` bytes. */
export async function zstdDecoder(): Promise<(data: Uint8Array, most: number) => Uint8Array> {
  const hashes = await xxhash();
  return (data, most) => {
    const steps = decodeFrames(hashes);
    const parts: Uint8Array[] = [];
    let at = 0;
    let given = 0;
    for (let step = steps.next(); !step.done; ) {
      if (step.value instanceof Uint8Array) {
        given += step.value.length;
        if (given > most) throw new Error(`more than its ${most} bytes`);
        parts.push(step.value);
        step = steps.next();
        continue;
      }
      const { bytes: count, orEnd = false } = step.value;
      const read = data.subarray(at, at + count);
      if (read.length < count && !(orEnd && read.length === 0)) throw new Error(CUT_SHORT);
      at += count;
      step = steps.next(read);
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  };
}
