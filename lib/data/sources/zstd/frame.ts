/** Frames: RFC 8878, section 3.1. */
import type { XXHashAPI } from "xxhash-wasm";
import { BlockDecoder } from "./block.js";
import { History, MAX_BLOCK } from "./history.js";

const MAGIC = 0xfd2fb528;

/** The largest window of any `zstd --long`. */
const MAX_WINDOW = 2 ** 31;

/** Asks for bytes: exactly this many, or at the end of the data perhaps none. */
export interface Wanted {
  readonly bytes: number;
  readonly orEnd?: boolean;
}

/** Steps of the decoder: it asks for bytes, which it gets by `next`, and gives what they hold. */
export type Steps = Generator<Wanted | Uint8Array, void, Uint8Array>;

/** Decodes all frames of a file. Throws an Error that says what is damaged; the output before it is not to be used. */
export function* decodeFrames(hashes: XXHashAPI): Steps {
  const history = new History();
  const blocks = new BlockDecoder();
  for (let frames = 0; ; frames++) {
    const start = yield { bytes: 4, orEnd: frames > 0 };
    if (start.length === 0) return;
    const magic = u32(start, 0);
    if (magic >>> 4 === 0x184d2a5) yield* skip(u32(yield { bytes: 4 }, 0));
    else if (magic === MAGIC) yield* decodeFrame(history, blocks, hashes);
    else throw new Error(frames === 0 ? "it does not begin like zstd data" : "other data after the last frame");
  }
}

function* skip(count: number): Steps {
  for (let left = count; left > 0; left -= MAX_BLOCK) yield { bytes: Math.min(left, MAX_BLOCK) };
}

function* decodeFrame(history: History, blocks: BlockDecoder, hashes: XXHashAPI): Steps {
  const { window, size, checksum } = yield* readHeader();
  const hash = checksum ? hashes.create64() : undefined;
  const limit = Math.min(window, MAX_BLOCK);
  history.reset(window);
  blocks.reset();
  let total = 0;
  for (let last = false; !last; ) {
    const header = yield { bytes: 3 };
    last = (header[0]! & 1) === 1;
    const type = (header[0]! >> 1) & 3;
    const length = (header[0]! >> 3) | (header[1]! << 5) | (header[2]! << 13);
    if (type === 3 || length > limit) throw new Error("a damaged block header");
    history.reserve();
    const begin = history.end;
    if (type === 2) {
      if (length === 0) throw new Error("a damaged block header");
      blocks.decode(yield { bytes: length }, history, limit);
    } else {
      const raw = type === 0 ? (length === 0 ? new Uint8Array(0) : yield { bytes: length }) : yield { bytes: 1 };
      if (type === 0) history.bytes.set(raw, begin);
      else history.bytes.fill(raw[0]!, begin, begin + length);
      history.end = begin + length;
    }
    const content = history.bytes.slice(begin, history.end);
    total += content.length;
    hash?.update(content);
    if (content.length > 0) yield content;
  }
  if (size !== undefined && total !== size) throw new Error(`a frame of ${size} bytes that holds ${total}`);
  if (hash !== undefined) {
    const stored = u32(yield { bytes: 4 }, 0);
    if (Number(hash.digest() & 0xffffffffn) !== stored) throw new Error("its checksum does not match");
  }
}

interface FrameHeader {
  readonly window: number;
  /** Bytes of content, where the header has them. */
  readonly size: number | undefined;
  readonly checksum: boolean;
}

function* readHeader(): Generator<Wanted, FrameHeader, Uint8Array> {
  const flags = (yield { bytes: 1 })[0]!;
  if ((flags & 8) !== 0) throw new Error("a reserved bit that is set");
  const single = (flags & 32) !== 0;
  const idBytes = [0, 1, 2, 4][flags & 3]!;
  const sizeBytes = flags >> 6 === 0 ? (single ? 1 : 0) : 1 << (flags >> 6);
  const rest = yield { bytes: (single ? 0 : 1) + idBytes + sizeBytes };
  let at = 0;
  let window = 0;
  if (!single) {
    const base = 2 ** (10 + (rest[0]! >> 3));
    window = base + (base / 8) * (rest[0]! & 7);
    at = 1;
  }
  const dictionary = little(rest, at, idBytes);
  if (dictionary !== 0) throw new Error(`it was made with dictionary ${dictionary}, which is not there`);
  const size = sizeBytes === 0 ? undefined : little(rest, at + idBytes, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
  if (single) window = size!;
  if (window > MAX_WINDOW) throw new Error(`a window of ${window} bytes, where at most ${MAX_WINDOW} are supported`);
  return { window, size, checksum: (flags & 4) !== 0 };
}

function little(bytes: Uint8Array, from: number, count: number): number {
  let value = 0;
  for (let i = count - 1; i >= 0; i--) value = value * 256 + bytes[from + i]!;
  return value;
}

function u32(bytes: Uint8Array, at: number): number {
  return little(bytes, at, 4);
}
