/**
 * The formats of token shards, by their heads.
 *
 * | format | file | tokens |
 * |---|---|---|
 * | `llmc` | a header of 1024 bytes, then the tokens (shard.ts) | uint16, uint32 |
 * | `nanogpt` | the tokens alone, as nanoGPT's `prepare.py` writes them | uint16 |
 * | `megatron` | `NAME.bin`, the tokens alone, and `NAME.idx`, which says what they are | uint8 to int64 |
 *
 * Megatron's index (Megatron-LM, `megatron/core/datasets/indexed_dataset.py`), little-endian: the bytes `MMIDIDX\0\0`;
 * uint64 version 1; uint8 code of the tokens' type; uint64 number of sequences S; uint64 number of documents D; the
 * sequences' lengths, S of int32; their places in the .bin file in bytes, S of int64; D of int64.
 */
import type { FileHandle } from "node:fs/promises";
import { either } from "../arguments.js";
import { openFile } from "../disk/read_text.js";
import { DataError, unusable } from "../errors.js";
import type { ShardFormat } from "./format_names.js";

/** Size of llm.c's header in bytes. */
export const SHARD_HEADER_BYTES = 256 * 4;

/** Bytes per token. */
export type TokenBytes = 1 | 2 | 4 | 8;

/** What a shard's file holds. */
export interface ShardLayout {
  readonly tokenCount: number;
  readonly bytesPerToken: TokenBytes;
  /** Where the tokens begin. */
  readonly offset: number;
}

/** llm.c's headers: GPT-2's, and Llama 3's. */
export const LLMC_VARIANTS = [
  { magic: 20240520, version: 1, bytesPerToken: 2 },
  { magic: 20240801, version: 7, bytesPerToken: 4 },
] as const;

/** Reads what a file holds. @throws DataError if it is not a whole shard of that format */
export function readLayout(format: ShardFormat, path: string, file: FileHandle, size: number): Promise<ShardLayout> {
  if (format === "nanogpt") return readNanogpt(path, file, size);
  if (format === "megatron") return readMegatron(path, size);
  return readLlmc(path, file, size);
}

async function readLlmc(path: string, file: FileHandle, size: number): Promise<ShardLayout> {
  if (size < SHARD_HEADER_BYTES) {
    throw new DataError(
      `${path}: expected a token shard, whose header alone is ${SHARD_HEADER_BYTES} bytes, ` +
        `but received a file of ${size}`,
    );
  }
  const header = Buffer.alloc(12);
  await file.read(header, 0, header.length, 0);
  const [magic, version, tokenCount] = [header.readInt32LE(0), header.readInt32LE(4), header.readInt32LE(8)];
  const variant = LLMC_VARIANTS.find((v) => v.magic === magic);
  if (variant === undefined) {
    throw new DataError(
      `${path}: expected a token shard, which begins with 20240520 (uint16 tokens) or 20240801 (uint32 tokens), ` +
        `but received a file that begins with ${magic} (\`nextpatch prepare\` makes shards from text; those of nanoGPT ` +
        "and Megatron have a format to name in the config)",
    );
  }
  if (version !== variant.version) {
    throw new DataError(
      `${path}: expected version ${variant.version} of a token shard that begins with ${magic} but received ${version}`,
    );
  }
  if (tokenCount <= 0)
    throw new DataError(`${path}: expected a header that counts 1 token or more but received ${tokenCount}`);
  const expected = SHARD_HEADER_BYTES + tokenCount * variant.bytesPerToken;
  if (size !== expected) {
    const tokens = `${tokenCount} uint${variant.bytesPerToken * 8} tokens`;
    const fault = size < expected ? "cut short" : "longer than its header says";
    throw new DataError(
      `${path}: expected ${expected} bytes for a header and ${tokens} but received ${size}: the file is ${fault}`,
    );
  }
  return { tokenCount, bytesPerToken: variant.bytesPerToken, offset: SHARD_HEADER_BYTES };
}

async function readNanogpt(path: string, file: FileHandle, size: number): Promise<ShardLayout> {
  const start = Buffer.alloc(4);
  await file.read(start, 0, start.length, 0);
  if (LLMC_VARIANTS.some(({ magic }) => magic === start.readInt32LE(0))) {
    throw new DataError(`${path}: expected nanoGPT's uint16 tokens without a header but received llm.c's header`);
  }
  if (size === 0 || size % 2 !== 0) {
    throw new DataError(`${path}: expected nanoGPT's uint16 tokens, an even number of bytes, but received ${size}`);
  }
  return { tokenCount: size / 2, bytesPerToken: 2, offset: 0 };
}

const INDEX_MAGIC = "MMIDIDX\0\0";
const INDEX_HEAD = 9 + 8 + 1 + 8 + 8;

/** Bytes of the types that can be token ids, by their codes. Others are floats. */
const INDEX_TYPES: Readonly<Record<number, TokenBytes>> = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 8: 2 };

async function readMegatron(path: string, size: number): Promise<ShardLayout> {
  const index = path.replace(/\.bin$/, ".idx");
  const file = await openFile(index).catch((cause: unknown) => {
    throw new DataError(`${index}: expected the index of ${path} but received ${unusable(cause)}`, { cause });
  });
  try {
    const wrong = (expected: string, received: string | number | bigint): never => {
      throw new DataError(`${index}: expected ${expected} but received ${received}`);
    };
    const head = Buffer.alloc(INDEX_HEAD);
    const { bytesRead } = await file.read(head, 0, INDEX_HEAD, 0);
    if (bytesRead < INDEX_HEAD || head.toString("latin1", 0, 9) !== INDEX_MAGIC) {
      wrong("Megatron's index, which begins with MMIDIDX,", bytesRead === 0 ? "an empty file" : "another file");
    }
    const version = head.readBigUInt64LE(9);
    if (version !== 1n) wrong("version 1 of Megatron's index", version);
    const code = head.readUInt8(17);
    const bytesPerToken = INDEX_TYPES[code];
    if (bytesPerToken === undefined) return wrong(`whole numbers (codes ${either(Object.keys(INDEX_TYPES))})`, code);
    const [sequences, documents] = [Number(head.readBigUInt64LE(18)), Number(head.readBigUInt64LE(26))];
    const facts = await file.stat();
    const expected = INDEX_HEAD + sequences * (4 + 8) + documents * 8;
    if (facts.size !== expected)
      wrong(`${expected} bytes for ${sequences} sequences and ${documents} documents`, facts.size);
    if (sequences === 0) wrong("1 sequence or more", 0);
    // The sequences lie one after another: the last one ends where the file does.
    const last = Buffer.alloc(12);
    await file.read(last, 0, 4, INDEX_HEAD + 4 * (sequences - 1));
    await file.read(last, 4, 8, INDEX_HEAD + 4 * sequences + 8 * (sequences - 1));
    const end = Number(last.readBigInt64LE(4)) + last.readInt32LE(0) * bytesPerToken;
    if (end !== size) {
      throw new DataError(`${path}: expected ${end} bytes, as ${index} says, but received ${size}`);
    }
    return { tokenCount: size / bytesPerToken, bytesPerToken, offset: 0 };
  } finally {
    await file.close();
  }
}
