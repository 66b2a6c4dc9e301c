/** Tokens in memory, as a shard that is in no file. */
import { createHash } from "node:crypto";
import { availableParallelism } from "node:os";
import { setImmediate } from "node:timers/promises";
import { types } from "node:util";
import { type Arguments, describe } from "../arguments.js";
import type { Readable } from "../disk/read_fully.js";
import { DataError } from "../errors.js";
import { encodeDocuments } from "./encode/encode_documents.js";
import type { SourceText } from "./encode/pieces.js";
import { bitsOfMask, maskBytes, ShardMask } from "./loss_mask.js";
import { type BytesPerToken, headerOf, MAX_SHARD_TOKENS, Shard } from "./shard.js";
import { type FileFacts, failClosed, type ShardSources } from "./shard_files.js";
import { SHARD_HEADER_BYTES } from "./shard_formats.js";
import { checkGiven, type GivenDocuments, GivenTexts } from "./sources/given.js";
import { bytesPerToken } from "./token_width.js";
import { Tokenizer } from "./tokenizer.js";

/** Bytes that are hashed at a time. */
const HASHED = 1 << 24;

/** Ids of tokens, one after another. */
export type DatasetIds = readonly number[] | Uint16Array | Uint32Array | Int32Array;

/** What `TokenDataset.from` may be told. */
export interface MemoryOptions {
  /** What encodes documents. Beside ids, the tokenizer that they are of: a run keeps its files. */
  readonly tokenizer?: Tokenizer;
  /** Beside ids: which of them count in the loss as labels, a byte for each, 1 if it counts, else 0. It is copied. */
  readonly mask?: Uint8Array;
  /** Its name in errors and in a run's records. Default `memory`. */
  readonly name?: string;
  /** Aborting it ends the work with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What is known of a dataset that is in no file. */
export interface MemoryData {
  readonly shard: Shard;
  readonly sources: ShardSources;
  /** SHA-256 of the shard that it would be in a file, in hex. */
  readonly sha256: string;
  /** SHA-256 of the loss mask that would be beside it, in hex; null: all tokens count. */
  readonly maskSha256: string | null;
  /** UTF-8 bytes of the documents; null: it was made of ids. */
  readonly bytes: number | null;
  readonly tokenizer: Tokenizer | null;
}

/** @throws TypeError, RangeError; DataError for no token, or for what cannot be encoded */
export async function memoryData(
  check: Arguments,
  data: DatasetIds | GivenDocuments,
  options: MemoryOptions,
): Promise<MemoryData> {
  const {
    tokenizer,
    mask,
    name = "memory",
    signal,
  } = check.options("options", options, ["tokenizer", "mask", "name", "signal"]);
  if (tokenizer !== undefined) check.instance("tokenizer", tokenizer, Tokenizer);
  if (check.string("name", name) === "") check.fail(RangeError, "name", "a name", describe(name));
  check.signal("signal", signal);
  signal?.throwIfAborted();
  if (isIds(data)) {
    const ids = checkIds(check, data, tokenizer?.vocabSize ?? 2 ** 31);
    const part = { ids, mask: mask === undefined ? null : checkMask(check, mask, ids.length) };
    return { ...(await shardOf(name, [part], widthOf(ids))), bytes: null, tokenizer: tokenizer ?? null };
  }
  const documents = new GivenTexts(check, "data", checkGiven(check, "data", data), signal);
  if (mask !== undefined) {
    check.fail(RangeError, "mask", "none beside documents, which have prompts,", describe(mask));
  }
  if (tokenizer === undefined) {
    return check.fail(TypeError, "tokenizer", "a Tokenizer, as documents are to be encoded,", describe(tokenizer));
  }
  let bytes = 0;
  const parts: Part[] = [];
  const width = bytesPerToken(tokenizer);
  const onBytes = (more: number) => {
    bytes += more;
  };
  try {
    for await (const pieces of encodeDocuments(sourceOf(documents, onBytes), tokenizer, availableParallelism())) {
      signal?.throwIfAborted();
      for (const { ids, mask } of pieces) parts.push({ ids: width === 2 ? Uint16Array.from(ids) : ids, mask });
    }
  } finally {
    signal?.throwIfAborted(); // what fails then fails because of it
  }
  return { ...(await shardOf(name, parts, width)), bytes, tokenizer };
}

/** Whether these are ids; an empty array is one of none. */
function isIds(data: DatasetIds | GivenDocuments): data is DatasetIds {
  return types.isTypedArray(data) || (Array.isArray(data) && (data.length === 0 || typeof data[0] === "number"));
}

function checkIds(check: Arguments, data: DatasetIds, limit: number): DatasetIds {
  if (
    types.isTypedArray(data) &&
    !(types.isUint16Array(data) || types.isUint32Array(data) || types.isInt32Array(data))
  ) {
    const expected = "an array of ids, or a Uint16Array, a Uint32Array or an Int32Array,";
    check.fail(TypeError, "data", expected, describe(data));
  }
  const isId = (id: number) => Number.isInteger(id) && id >= 0 && id < limit;
  for (let index = 0; index < data.length; index++) {
    if (!isId(data[index]!))
      check.number(`data[${index}]`, data[index], `a token's id, from 0 to below ${limit},`, isId);
  }
  return data;
}

function checkMask(check: Arguments, mask: Uint8Array, tokens: number): Uint8Array {
  if (!types.isUint8Array(mask)) check.fail(TypeError, "mask", "a Uint8Array", describe(mask));
  if (mask.length !== tokens) {
    check.fail(RangeError, "mask", `a byte for each of ${tokens} ids`, `${mask.length} of them`);
  }
  const index = mask.findIndex((byte) => byte > 1);
  if (index >= 0) check.number(`mask[${index}]`, mask[index], "0 or 1", () => false);
  return mask;
}

function widthOf(ids: DatasetIds): BytesPerToken {
  let largest = 0;
  for (let index = 0; index < ids.length; index++) largest = Math.max(largest, ids[index]!);
  return largest < 2 ** 16 ? 2 : 4;
}

async function* sourceOf(texts: GivenTexts, onBytes: (bytes: number) => void): AsyncGenerator<SourceText> {
  for await (const piece of texts.read(onBytes)) yield { ...piece, source: 0, file: texts.name, split: "train" };
}

/** Ids, and which of them count: a byte for each, 1 if it counts; null: all do. */
interface Part {
  readonly ids: DatasetIds;
  readonly mask: Uint8Array | null;
}

/** A shard with a copy of the ids, in llm.c's format, and its loss mask. */
async function shardOf(name: string, parts: readonly Part[], width: BytesPerToken) {
  const tokenCount = parts.reduce((sum, { ids }) => sum + ids.length, 0);
  if (tokenCount === 0) throw new DataError(`${name}: expected a token or more but received none`);
  if (tokenCount > MAX_SHARD_TOKENS) {
    throw new DataError(`${name}: expected at most ${MAX_SHARD_TOKENS} tokens in memory but received ${tokenCount}`);
  }
  const size = SHARD_HEADER_BYTES + tokenCount * width;
  const image = new Uint8Array(size);
  image.set(headerOf(width, tokenCount));
  const Tokens = width === 2 ? Uint16Array : Uint32Array;
  const tokens = new Tokens(image.buffer, SHARD_HEADER_BYTES, tokenCount);
  const masked = parts.some(({ mask }) => mask?.includes(0));
  const bits = masked ? new Uint8Array(maskBytes(tokenCount)) : null;
  let at = 0;
  for (const { ids, mask } of parts) {
    tokens.set(ids, at);
    if (bits !== null && mask !== null) bitsOfMask(mask, at, bits);
    at += ids.length;
  }
  const maskName = `the loss mask of ${name}`;
  const sources = new Memory({ [name]: image, ...(bits && { [maskName]: bits }) });
  const layout = { tokenCount, bytesPerToken: width, offset: SHARD_HEADER_BYTES };
  const mask = bits && new ShardMask(maskName, factsOf(bits), sources);
  return {
    shard: new Shard(name, "llmc", layout, mask, factsOf(image), sources),
    sources,
    sha256: await hashOf(image),
    maskSha256: bits && (await hashOf(bits)),
  };
}

const factsOf = ({ length }: Uint8Array): FileFacts => ({ dev: 0n, ino: 0n, size: BigInt(length), mtimeNs: 0n });

/** SHA-256, in hex; the event loop stays free. */
async function hashOf(bytes: Uint8Array): Promise<string> {
  const hash = createHash("sha256");
  for (let at = 0; at < bytes.length; at += HASHED) {
    hash.update(bytes.subarray(at, at + HASHED));
    await setImmediate();
  }
  return hash.digest("hex");
}

/** The bytes of a shard and its mask, where others have files. */
class Memory implements ShardSources {
  #images: ReadonlyMap<string, Uint8Array> | null;

  constructor(images: Readonly<Record<string, Uint8Array>>) {
    this.#images = new Map(Object.entries(images));
  }

  async use<T>(path: string, _facts: FileFacts, read: (file: Readable) => Promise<T>): Promise<T> {
    const image = (this.#images ?? failClosed()).get(path)!;
    return read({
      read: async (bytes, offset, length, position) => {
        const part = image.subarray(position, position + length);
        bytes.set(part, offset);
        return { bytesRead: part.length };
      },
    });
  }

  async close(): Promise<void> {
    this.#images = null;
  }
}
