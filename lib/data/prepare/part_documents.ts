/** The documents of a part of a dataset, as the part's files have them. */
import { createHash } from "node:crypto";
import { type FileHandle, open, stat } from "node:fs/promises";
import { join } from "node:path";
import { hashFile } from "../../disk/hash_file.js";
import { readFully } from "../../disk/read_fully.js";
import { readWhole } from "../../disk/read_text.js";
import { DataError, unusable } from "../../errors.js";
import { type MaskInfo, maskBytes, maskOfBits } from "../loss_mask.js";
import { DATASET_JSON, PART_LENGTHS } from "../outfolder.js";
import { SHARD_HEADER_BYTES } from "../shard_formats.js";
import type { ShardInfo, SplitName } from "../split.js";
import { bytesPerToken } from "../token_width.js";
import { TOKENIZER_JSON } from "../tokenizer_files.js";
import { LengthReader } from "./lengths.js";
import type { Part } from "./part_info.js";

/** Bytes of a shard read at a time. */
const CHUNK = 1 << 21;

/** A document of a part, or more of it. */
export interface PartPiece {
  /** Of the file that it is from: `val` for separate validation files. */
  readonly split: SplitName;
  readonly continues: boolean;
  readonly ids: Uint32Array;
  /** A byte a token, 1: it counts in the loss; null: all count. */
  readonly mask: Uint8Array | null;
  /** UTF-8 bytes of the whole document; 0 where it continues. */
  readonly bytes: number;
}

/**
 * Checks the small files of a part, and that the large ones are there: what `partDocuments` would tell only after hours.
 * @throws DataError if one is not what the part says
 */
export async function checkPartFiles({ folder, info }: Part): Promise<void> {
  const masks = info.shards.flatMap(({ mask, tokens }) => (mask ? { ...mask, bytes: maskBytes(tokens) } : []));
  for (const { file, bytes } of [...info.shards, ...masks]) {
    const path = join(folder, file);
    const { size } = await stat(path).catch((cause: unknown) => absent(path, cause));
    if (size !== bytes) throw other(path, `${bytes} bytes`, `one of ${size}`);
  }
  const hashes = { [PART_LENGTHS]: info.lengthsSha256, [TOKENIZER_JSON]: info.tokenizerSha256 };
  for (const [name, sha256] of Object.entries(hashes)) {
    const path = join(folder, name);
    const found = await hashFile(path).catch((cause: unknown) => absent(path, cause));
    if (found !== sha256) throw other(path, `SHA-256 ${sha256}`, found);
  }
}

/**
 * The documents of a part, in order, the long ones in pieces.
 * @param onBytes called with the bytes of shards that have been read, now and then
 * @throws DataError if a shard is not what the part says, at the latest with its last document
 */
export async function* partDocuments(
  { folder, info }: Part,
  onBytes: (bytes: number) => void,
): AsyncGenerator<PartPiece> {
  await using lengths = await LengthReader.open(join(folder, PART_LENGTHS));
  const sources = info.sources.slice(...info.own);
  const at = { source: 0, documents: 0 };
  let left = 0;
  for (const shard of info.shards) {
    const bits = shard.mask === undefined ? null : await readMask(folder, shard.mask, shard.tokens);
    let position = 0;
    for await (const ids of readShard(folder, shard, bytesPerToken(info), onBytes)) {
      for (let done = 0; done < ids.length; ) {
        const continues = left > 0;
        let bytes = 0;
        if (!continues) {
          ({ tokens: left, bytes } = await lengths.next());
          while (at.documents === sources[at.source]!.documents) [at.source, at.documents] = [at.source + 1, 0];
          at.documents++;
        }
        const piece = ids.subarray(done, done + left);
        const mask = bits && new Uint8Array(piece.length);
        if (mask !== null) maskOfBits(bits!, position, mask);
        yield { split: sources[at.source]!.split ?? "train", continues, ids: piece, mask, bytes };
        done += piece.length;
        position += piece.length;
        left -= piece.length;
      }
    }
  }
}

/** The loss mask of a shard, a bit a token. */
async function readMask(folder: string, { file, sha256 }: MaskInfo, tokens: number): Promise<Uint8Array> {
  const path = join(folder, file);
  const bits = await readWhole(path, maskBytes(tokens)).catch((cause: unknown) => absent(path, cause));
  const found = createHash("sha256").update(bits).digest("hex");
  if (found !== sha256) throw other(path, `SHA-256 ${sha256}`, found);
  return bits;
}

/** The tokens of a shard, in chunks; that it is the right one is known at its end. */
async function* readShard(
  folder: string,
  { file, bytes, sha256 }: ShardInfo,
  width: 2 | 4,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint32Array> {
  const path = join(folder, file);
  const Tokens = width === 2 ? Uint16Array : Uint32Array;
  const hash = createHash("sha256");
  const buffer = new Uint8Array(CHUNK);
  await using handle: FileHandle = await open(path, "r").catch((cause: unknown) => absent(path, cause));
  for (let at = 0; at < bytes; ) {
    const length = await readFully(handle, buffer.subarray(0, Math.min(CHUNK, bytes - at)), at);
    if (length === 0) throw other(path, `${bytes} bytes`, `one of ${at}`);
    hash.update(buffer.subarray(0, length));
    onBytes(length);
    const header = at === 0 ? SHARD_HEADER_BYTES : 0;
    yield Uint32Array.from(new Tokens(buffer.buffer, header, Math.floor((length - header) / width)));
    at += length;
  }
  const found = hash.digest("hex");
  if (found !== sha256) throw other(path, `SHA-256 ${sha256}`, found);
}

function absent(path: string, cause: unknown): never {
  throw new DataError(`${path}: expected a file of the part but received ${unusable(cause)}`, { cause });
}

function other(path: string, expected: string, received: string): DataError {
  return new DataError(`${path}: expected a file of ${expected}, as ${DATASET_JSON} says, but received ${received}`);
}
