/**
 * TFRecord, the framing of event files: the length of the data in 8 bytes, its checksum, the data and its checksum; all
 * little-endian. A checksum is CRC-32C, masked.
 */
import type { FileHandle } from "node:fs/promises";
import { readFully } from "../../disk/read_fully.js";
import { crc32c } from "./crc32c.js";

const HEAD = 12;
const FOOT = 4;

/** Bytes of data that an event of ours never has. */
const MOST = 2 ** 20;

const masked = (bytes: Uint8Array): number => {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
};

/** Data as a record. */
export function record(data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(HEAD + data.length + FOOT);
  bytes.writeBigUInt64LE(BigInt(data.length));
  bytes.writeUInt32LE(masked(bytes.subarray(0, 8)), 8);
  bytes.set(data, HEAD);
  bytes.writeUInt32LE(masked(data), HEAD + data.length);
  return bytes;
}

/** A record of a file. */
export interface FoundRecord {
  readonly data: Buffer;
  /** Where it begins in the file, in bytes. */
  readonly at: number;
}

/** The records of a file from its beginning up to its end, or to what is damaged. Returns where that is. */
export async function* readRecords(file: FileHandle): AsyncGenerator<FoundRecord, number> {
  const head = Buffer.alloc(HEAD);
  let at = 0;
  while ((await readFully(file, head, at)) === HEAD) {
    const length = Number(head.readBigUInt64LE());
    if (head.readUInt32LE(8) !== masked(head.subarray(0, 8)) || length > MOST) break;
    const rest = Buffer.alloc(length + FOOT);
    if ((await readFully(file, rest, at + HEAD)) < rest.length) break;
    const data = rest.subarray(0, length);
    if (rest.readUInt32LE(length) !== masked(data)) break;
    yield { data, at };
    at += HEAD + length + FOOT;
  }
  return at;
}
