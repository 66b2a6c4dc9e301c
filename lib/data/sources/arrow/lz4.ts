/** LZ4 frames, in which Arrow compresses buffers, with their checksums. */
import type { XXHashAPI } from "xxhash-wasm";

const MAGIC = 0x184d2204;

/** The content of one frame, which is `size` bytes. Throws an Error that says what is damaged. */
export function decodeLz4Frame(data: Uint8Array, size: number, hashes: XXHashAPI): Uint8Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw new Error("it does not begin like an LZ4 frame");
  const flags = view.getUint8(4);
  let at = 6 + ((flags & 8) !== 0 ? 8 : 0) + ((flags & 1) !== 0 ? 4 : 0);
  const check = (hash: number, stored: number): void => {
    if (hash !== stored) throw new Error("its checksum does not match");
  };
  check((hashes.h32Raw(data.subarray(4, at)) >>> 8) & 0xff, view.getUint8(at));
  at++;
  const out = new Uint8Array(size);
  let to = 0;
  for (let word = view.getUint32(at, true); word !== 0; word = view.getUint32(at, true)) {
    const length = word & 0x7fffffff;
    const block = data.subarray(at + 4, at + 4 + length);
    if (block.length < length) throw new Error("it is cut short");
    if (word >>> 31 === 0) to = decodeBlock(block, out, to);
    else {
      out.set(block, to);
      to += length;
    }
    at += 4 + length;
    if ((flags & 16) !== 0) {
      check(hashes.h32Raw(block), view.getUint32(at, true));
      at += 4;
    }
  }
  if (to !== size) throw new Error(`a buffer of ${size} bytes that holds ${to}`);
  if ((flags & 4) !== 0) check(hashes.h32Raw(out), view.getUint32(at + 4, true));
  return out;
}

/** Decodes a block to out[to..], with copies from all that is there before; returns where it ends. */
function decodeBlock(block: Uint8Array, out: Uint8Array, to: number): number {
  let at = 0;
  const length = (nibble: number): number => {
    let value = nibble;
    if (nibble === 15) {
      let byte: number;
      do {
        byte = block[at++] ?? 0;
        value += byte;
      } while (byte === 255);
    }
    return value;
  };
  while (at < block.length) {
    const token = block[at++]!;
    const literals = length(token >> 4);
    if (at + literals > block.length || to + literals > out.length) throw new Error("a damaged LZ4 block");
    out.set(block.subarray(at, at + literals), to);
    at += literals;
    to += literals;
    if (at === block.length) break;
    const offset = block[at]! | ((block[at + 1] ?? 0) << 8);
    at += 2;
    const copied = length(token & 15) + 4;
    if (offset === 0 || offset > to || to + copied > out.length) throw new Error("a damaged LZ4 block");
    for (const end = to + copied; to < end; to++) out[to] = out[to - offset]!;
  }
  return to;
}
