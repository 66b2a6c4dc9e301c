/** The format of data that has no name: standard input and pipes. */

import { parseJson } from "../../disk/json.js";
import type { Compression, Format } from "./formats.js";
import { kindOf } from "./magic.js";
import { asBuffer } from "./utf8.js";

/** Bytes within which the first line must end, to be looked at. */
const LOOK = 1 << 20;

const COMPRESSIONS: Readonly<Record<string, Compression>> = {
  "gzip data": "gzip",
  "zstd data": "zstd",
  "xz data": "xz",
  "bzip2 data": "bzip2",
};

/** How a stream begins, and the whole of it. */
export interface Peeked {
  readonly start: Buffer;
  readonly all: AsyncIterable<Uint8Array>;
}

/** Reads a stream up to its first line feed, at most 1 MiB or what comes at once. */
export async function peek(chunks: AsyncIterable<Uint8Array>): Promise<Peeked> {
  const iterator = chunks[Symbol.asyncIterator]();
  const taken: Uint8Array[] = [];
  let length = 0;
  for (let hasLine = false; length < LOOK && (!hasLine || length < 8); ) {
    const next = await iterator.next();
    if (next.done) break;
    taken.push(next.value);
    length += next.value.length;
    hasLine = next.value.includes(10);
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    try {
      yield* taken;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { start: asBuffer(Buffer.concat(taken)), all: all() };
}

/** The compression of data, by how it begins. */
export function sniffCompression(start: Buffer): Compression {
  return COMPRESSIONS[kindOf(start) ?? ""] ?? "none";
}

/**
 * The format of data, by how it begins: JSONL if its first line is a JSON object, JSON if it begins with an array of
 * objects or strings, Arrow, Parquet, else text.
 */
export function sniffFormat(start: Buffer): Format {
  const kind = kindOf(start);
  if (kind === "an Arrow file" || kind === "an Arrow stream") return "arrow";
  if (kind === "a Parquet file") return "parquet";
  const text = start.toString("utf8").replace(/^\uFEFF/, "");
  if (/^\s*\[\s*[{"]/.test(text)) return "json";
  const line = /^\s*(\{.*)/.exec(text)?.[1];
  if (line === undefined) return "text";
  return isObject(line) || (text.length >= LOOK && !text.includes("\n")) ? "jsonl" : "text";
}

function isObject(line: string): boolean {
  try {
    parseJson(line.replaceAll(/\b(?:NaN|-?Infinity)\b/g, "0"));
    return true;
  } catch {
    return false;
  }
}
