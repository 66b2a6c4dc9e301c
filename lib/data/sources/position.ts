/** Where documents and faults are. */
import { DataError } from "../../errors.js";

/** Where a document begins in its file. */
export interface Position {
  /** Counted from 1, in the formats that have lines. */
  readonly line?: number;
  /** Counted from 1, in the formats that have rows. */
  readonly row?: number;
  /** Counted from 0, of documents that are given, and not in a file. */
  readonly index?: number;
  /** Counted from 0, in the file's content when decompressed; of a page or batch, where that begins. */
  readonly byte: number;
}

/** The place of a message: `a.jsonl:3`, `a.parquet: row 3`, `documents[3]`. */
export function place(file: string, { line, row, index }: Omit<Position, "byte">): string {
  if (line !== undefined) return `${file}:${line}`;
  if (index !== undefined) return `${file}[${index}]`;
  return row === undefined ? file : `${file}: row ${row}`;
}

/** The error for data that is damaged or is of another kind. */
export function damaged(where: string, expected: string, cause: unknown, start?: string): DataError {
  if (cause instanceof DataError) return cause;
  const received = start === undefined || expected.includes(start.replace(/^an? /, "")) ? "damaged data" : start;
  // V8's own errors say what a reader stumbled over, not what is wrong.
  const isOwn = !(cause instanceof RangeError || cause instanceof TypeError);
  const reason = isOwn ? (cause as Error).message : "its parts do not fit together";
  return new DataError(`${where}: expected ${expected} but received ${received}: ${reason}`, {
    cause,
  });
}
