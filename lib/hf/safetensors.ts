/**
 * Reads and writes safetensors files in pieces: a tensor is never in memory as a whole.
 * The format's rules are in safetensors_header.ts.
 */
import type { FileHandle } from "node:fs/promises";
import { isLfsPointer } from "../data/sources/magic.js";
import { type FileDigest, HashedFile } from "../disk/hashed_file.js";
import { inputLimits } from "../disk/input_limits.js";
import { openFile } from "../disk/read_text.js";
import { CheckpointError, unusable } from "../errors.js";
import { bitsPerElement, byteSize, type SafetensorsDtype } from "./dtypes.js";
import { metadataKey, parseHeader, type TensorEntry } from "./safetensors_header.js";

/** Element type and shape of a stored tensor. */
export interface TensorInfo {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

/** A tensor to write. */
export interface SafetensorsEntry extends TensorInfo {
  readonly name: string;
  /**
   * The elements, little-endian and row-major: `product(shape)` of them, in pieces. Called when the tensor is written; a
   * piece is on its way to the disk before the next is asked for, so that one at a time need be in memory.
   */
  readonly data: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/** An open safetensors file: its header in memory, its tensors read from the file one by one. */
export class SafetensorsFile {
  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    private readonly tensors: ReadonlyMap<string, TensorEntry>,
    private readonly dataBegin: number,
  ) {}

  /**
   * Opens a file, reads its header and checks it completely: if it passes, its tensors can be read.
   * @throws CheckpointError naming the file, the tensor, what was expected and what was found
   */
  static async open(path: string): Promise<SafetensorsFile> {
    let handle: FileHandle;
    try {
      handle = await openFile(path);
    } catch (cause) {
      throw new CheckpointError(`${path}: expected a safetensors file but received ${unusable(cause)}`, { cause });
    }
    try {
      const { size } = await handle.stat();
      if (size < 8) {
        throw new CheckpointError(`${path}: expected at least the 8 bytes of the header's length but received ${size}`);
      }
      if (isLfsPointer(await readAt(handle, 0, Math.min(size, 64), path))) {
        throw new CheckpointError(
          `${path}: expected a safetensors file but received a Git LFS pointer to it; fetch it with: git lfs pull`,
        );
      }
      const headerBytes = new DataView((await readAt(handle, 0, 8, path)).buffer).getBigUint64(0, true);
      if (headerBytes > BigInt(inputLimits.safetensorsHeader)) {
        throw new CheckpointError(
          `${path}: expected a header of at most ${inputLimits.safetensorsHeader} bytes but received ${headerBytes}`,
        );
      }
      const dataBegin = 8 + Number(headerBytes);
      if (dataBegin > size) {
        throw new CheckpointError(
          `${path}: expected ${dataBegin} bytes of header but received a file of ${size}: it is cut short`,
        );
      }
      const tensors = parseHeader(
        decodeUtf8(await readAt(handle, 8, dataBegin - 8, path), path),
        size - dataBegin,
        path,
      );
      return new SafetensorsFile(path, handle, tensors, dataBegin);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** The tensors' names, in the order of their bytes in the file. */
  names(): string[] {
    return [...this.tensors.keys()];
  }

  /** Whether the file has a tensor of that name. */
  has(name: string): boolean {
    return this.tensors.has(name);
  }

  /** Element type and shape of a tensor. @throws CheckpointError if there is none of that name */
  info(name: string): TensorInfo {
    const { dtype, shape } = this.entry(name);
    return { dtype, shape };
  }

  /**
   * Fills `out` with a tensor's bytes (little-endian, row-major) from its byte `offset` on.
   * @throws CheckpointError if there is none of that name, it has fewer bytes, or the file shrank since it was opened
   */
  async readInto(name: string, offset: number, out: Uint8Array): Promise<void> {
    const { begin, end } = this.entry(name);
    if (offset + out.byteLength > end - begin) {
      throw new CheckpointError(
        `${this.path}: tensor "${name}": expected a range within its ${end - begin} bytes ` +
          `but received ${offset} to ${offset + out.byteLength}`,
      );
    }
    await fill(this.handle, this.dataBegin + begin + offset, out, this.path);
  }

  /** Closes the file; nothing can be read after that. */
  async close(): Promise<void> {
    await this.handle.close();
  }

  private entry(name: string) {
    const entry = this.tensors.get(name);
    if (entry === undefined)
      throw new CheckpointError(`${this.path}: expected a tensor "${name}" but received a file without it`);
    return entry;
  }
}

/**
 * Writes tensors to `path` (replacing an existing file) and syncs them to the disk. Wider element types come first,
 * as in the reference writer, so that every tensor is aligned to its elements; otherwise the order is kept.
 * On failure nothing is left at `path`.
 * @param metadata free text for the header; readers of PyTorch checkpoints expect `format: "pt"`
 * @returns the file's size and hash
 * @throws CheckpointError if a name occurs twice or a tensor's bytes do not match its dtype and shape
 */
export async function writeSafetensors(
  path: string,
  entries: Iterable<SafetensorsEntry>,
  metadata: Readonly<Record<string, string>> = { format: "pt" },
): Promise<FileDigest> {
  const sorted = [...entries].sort((a, b) => bitsPerElement[b.dtype] - bitsPerElement[a.dtype]);
  const header = encodeHeader(path, sorted, metadata);
  const file = await HashedFile.create(path);
  try {
    await file.write(header);
    for (const entry of sorted) {
      let written = 0;
      for await (const piece of entry.data()) {
        await file.write(piece);
        written += piece.byteLength;
      }
      const expected = byteSize(entry.dtype, entry.shape);
      if (written !== expected) {
        const what = `${entry.dtype} [${entry.shape.join(", ")}]`;
        throw new CheckpointError(
          `${path}: tensor "${entry.name}": expected ${expected} bytes for ${what} but received ${written}`,
        );
      }
    }
    return await file.finish();
  } catch (error) {
    await file.abandon();
    throw error;
  }
}

function encodeHeader(
  path: string,
  entries: readonly SafetensorsEntry[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const fields = [`${JSON.stringify(metadataKey)}:${JSON.stringify(metadata)}`];
  const seen = new Set([metadataKey]);
  let begin = 0;
  for (const { name, dtype, shape } of entries) {
    if (seen.has(name))
      throw new CheckpointError(`${path}: tensor "${name}": expected each name once but received this one twice`);
    seen.add(name);
    const end = begin + byteSize(dtype, shape);
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`);
    begin = end;
  }
  const json = Buffer.from(`{${fields.join(",")}}`, "utf8");
  // Spaces up to a multiple of 8, so that the tensors start aligned.
  const padded = Math.ceil(json.byteLength / 8) * 8;
  const header = Buffer.alloc(8 + padded, " ");
  header.writeBigUInt64LE(BigInt(padded), 0);
  header.set(json, 8);
  return header;
}

/** One system call moves at most 2 GiB. */
const maxCallBytes = 2 ** 30;

async function readAt(handle: FileHandle, position: number, length: number, path: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await fill(handle, position, bytes, path);
  return bytes;
}

async function fill(handle: FileHandle, position: number, out: Uint8Array, path: string): Promise<void> {
  let done = 0;
  while (done < out.byteLength) {
    const length = Math.min(out.byteLength - done, maxCallBytes);
    const { bytesRead } = await handle.read(out, done, length, position + done);
    if (bytesRead === 0) {
      throw new CheckpointError(`${path}: expected ${out.byteLength} bytes at byte ${position} but received ${done}`);
    }
    done += bytesRead;
  }
}

function decodeUtf8(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new CheckpointError(`${path}: header: expected UTF-8 text but received other bytes`, { cause });
  }
}
