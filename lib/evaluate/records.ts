import { readBytes } from "../data/sources/bytes.js";
import { decompress } from "../data/sources/compression.js";
import { knownFormat } from "../data/sources/formats.js";
import { parseValue } from "../data/sources/json_values.js";
import { splitLines } from "../data/sources/lines.js";
import { damaged, place } from "../data/sources/position.js";
import { DataError, unusable } from "../errors.js";

/** A value of a file, and where it is: `a.jsonl:3`. */
export interface FileRecord {
  readonly value: unknown;
  readonly where: string;
}

/**
 * The values of JSONL, one a line, plain or compressed; lines of white space are passed over.
 * @throws DataError naming the file and the line of what is not JSON
 */
export async function* readJsonlRecords(file: string): AsyncGenerator<FileRecord> {
  const compression = knownFormat(file)?.compression ?? "none";
  const bytes = decompress(readBytes(file, file, "JSONL"), compression, file);
  for await (const lines of splitLines(bytes, file)) {
    for (const { bytes: line, where } of lines) {
      const hasMark = line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf;
      const content = hasMark ? line.subarray(3) : line;
      if (content.toString("latin1").trim() === "") continue;
      yield { value: parseValue(content, where, file), where: place(file, where) };
    }
  }
}

/**
 * The records of a Parquet file, all columns of them, or of JSONL.
 * @throws DataError naming the file, and the line or row, of what cannot be read
 */
export async function* readRecords(file: string): AsyncGenerator<FileRecord> {
  if (knownFormat(file)?.format !== "parquet") {
    yield* readJsonlRecords(file);
    return;
  }
  const { asyncBufferFromFile, parquetReadObjects } = await import("hyparquet");
  const { compressors } = await import("hyparquet-compressors");
  const buffer = await asyncBufferFromFile(file).catch((cause: unknown) => {
    throw new DataError(`${file}: expected a Parquet file but received ${unusable(cause)}`, { cause });
  });
  const rows = await parquetReadObjects({ file: buffer, compressors }).catch((cause: unknown) => {
    throw damaged(file, "a Parquet file", cause);
  });
  for (const [index, value] of rows.entries()) yield { value, where: place(file, { row: index + 1 }) };
}
