/**
 * Documents from files, as streams.
 *
 * | name ends in | documents |
 * |---|---|
 * | `.txt`, `.md`, no extension | the whole file is one |
 * | `.jsonl`, `.ndjson` | one per line: an object's `text` |
 * | `.parquet` | one per row: the column `text` |
 *
 * Text and JSONL may be compressed: `.gz`, `.zst`. Empty documents are skipped.
 */
import { createReadStream } from "node:fs";
import { basename, extname } from "node:path";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { show } from "../arguments.js";
import { DataError, unusable } from "../errors.js";
import { readParquetTexts } from "./parquet.js";
import { decodeUtf8, splitLines, splitPieces } from "./text.js";

/** Bytes of a file read at a time. */
const READ_CHUNK = 1 << 20;

const SUPPORTED = ".txt, .md, .jsonl, .ndjson (each also with .gz or .zst), .parquet, or no extension (plain text)";

/** A piece of a document's text; `first` if it begins a document. Never empty. */
export interface TextPiece {
  text: string;
  first: boolean;
}

type Bytes = AsyncIterable<Uint8Array>;
type Format = "text" | "jsonl" | "parquet";
type Compression = "none" | "gzip" | "zstd";

const COMPRESSIONS: Readonly<Record<string, Compression>> = { ".gz": "gzip", ".zst": "zstd" };
const FORMATS: Readonly<Record<string, Format>> = {
  "": "text",
  ".txt": "text",
  ".md": "text",
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ".parquet": "parquet",
};

/** The format and compression of a file, by its name. Throws DataError for an unsupported name. */
export function sourceFormat(file: string): { format: Format; compression: Compression } {
  const name = basename(file).toLowerCase();
  const compression = COMPRESSIONS[extname(name)] ?? "none";
  const inner = compression === "none" ? name : name.slice(0, -extname(name).length);
  const format = FORMATS[extname(inner)];
  if (format === undefined || (format === "parquet" && compression !== "none")) {
    const type = `${extname(inner)}${inner === name ? "" : extname(name)}`;
    throw new DataError(`${file}: expected a name that ends in ${SUPPORTED}, but received ${type}`);
  }
  return { format, compression };
}

/**
 * The documents of a file, in order, each as one or more pieces. `onBytes` is called with the number of bytes as the
 * file is read. Throws DataError naming the file and the position for invalid UTF-8, invalid JSON or damaged data.
 */
export async function* readDocuments(file: string, onBytes?: (bytes: number) => void): AsyncGenerator<TextPiece> {
  const { format, compression } = sourceFormat(file);
  if (format === "parquet") {
    yield* documentsOf(readParquetTexts(file, onBytes));
    return;
  }
  const texts = decodeUtf8(decompress(readBytes(file, onBytes), compression, file), file);
  if (format === "jsonl") yield* documentsOf(readJsonlTexts(texts, file));
  else yield* onePerDocument(texts);
}

async function* onePerDocument(text: AsyncIterable<string> | Iterable<string>): AsyncGenerator<TextPiece> {
  let first = true;
  for await (const piece of splitPieces(text)) {
    yield { text: piece, first };
    first = false;
  }
}

async function* documentsOf(texts: AsyncIterable<string>): AsyncGenerator<TextPiece> {
  for await (const text of texts) yield* onePerDocument([text]);
}

async function* readBytes(file: string, onBytes?: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  const stream = createReadStream(file, { highWaterMark: READ_CHUNK });
  try {
    for await (const chunk of stream) {
      onBytes?.((chunk as Uint8Array).length);
      yield chunk as Uint8Array;
    }
  } catch (cause) {
    if (cause !== stream.errored) throw cause;
    throw new DataError(`${file}: expected text but received ${unusable(cause)}`, { cause });
  }
}

async function* decompress(bytes: Bytes, compression: Compression, file: string): AsyncGenerator<Uint8Array> {
  if (compression === "none") {
    yield* bytes;
    return;
  }
  try {
    yield* compression === "gzip" ? gunzip(bytes) : unzstd(bytes);
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(
      `${file}: expected ${compression} data but received damaged data: ${(cause as Error).message}`,
      { cause },
    );
  }
}

async function* gunzip(bytes: Bytes): AsyncGenerator<Uint8Array> {
  // The loop below receives an error of either stream, so the pipeline's callback does nothing.
  yield* pipeline(Readable.from(bytes), createGunzip({ chunkSize: READ_CHUNK }), () => undefined);
}

async function* unzstd(bytes: Bytes): AsyncGenerator<Uint8Array> {
  const { Decompress } = await import("fzstd");
  const ready: Uint8Array[] = [];
  const stream = new Decompress((block) => ready.push(block));
  for await (const chunk of bytes) {
    stream.push(chunk);
    yield* ready.splice(0);
  }
  stream.push(new Uint8Array(0), true); // throws if the last frame is incomplete
  yield* ready.splice(0);
}

async function* readJsonlTexts(texts: AsyncIterable<string>, file: string): AsyncGenerator<string> {
  let number = 0;
  for await (const line of splitLines(texts)) {
    number++;
    if (line.trim() === "") continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      throw new DataError(`${file}:${number}: expected JSON but received other text: ${(cause as Error).message}`, {
        cause,
      });
    }
    yield textField(value, `${file}:${number}`);
  }
}

function textField(value: unknown, where: string): string {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const text = isObject ? (value as { text?: unknown }).text : undefined;
  if (typeof text === "string") return text;
  const keys = isObject && text === undefined ? Object.keys(value).join(", ") : "";
  const received = keys === "" ? show(value) : `one with the keys ${keys}`;
  throw new DataError(`${where}: expected an object with a "text" string but received ${received}`);
}
