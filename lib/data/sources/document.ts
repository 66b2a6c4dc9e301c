/** Documents, and what may not be one. */
import { DataError } from "../../errors.js";
import { type Position, place } from "./position.js";

/** A document: never empty, well-formed, at most `MAX_DOCUMENT` bytes. */
export interface SourceDocument {
  readonly text: string;
  readonly where: Position;
}

/** Bytes of a document, as UTF-8. A document is encoded as one string, and V8's hold less than 512 MiB. */
export const MAX_DOCUMENT = 2 ** 28;

/** Bytes of a JSON value or CSV record around a document: what one string holds. */
export const MAX_RECORD = 2 ** 29 - 2 ** 12;

/** Why a record gave no document. */
export type PassedOver = "null" | "empty";

/** Checks a text that came out of a record. Throws DataError for one that cannot be a document. */
export function document(text: string, where: Position, file: string): SourceDocument {
  if (text.length > MAX_DOCUMENT / 3) checkSize(Buffer.byteLength(text), MAX_DOCUMENT, "a document", where, file);
  if (!text.isWellFormed()) {
    const at = place(file, where);
    throw new DataError(`${at}: expected text but received half of a surrogate pair (\\u${loneSurrogate(text)})`);
  }
  return { text, where };
}

/** Throws DataError if something is longer than it may be. `more`: it goes on beyond `bytes`. */
export function checkSize(
  bytes: number,
  most: number,
  what: string,
  where: Position,
  file: string,
  more = false,
): void {
  if (bytes <= most && !more) return;
  const size = `${more ? "more than " : ""}${Math.max(bytes, 0)}`;
  throw new DataError(
    `${place(file, where)}: expected ${what} of at most ${most} bytes (${most / 2 ** 20} MiB) but received one of ` +
      `${size} bytes that begins at byte ${where.byte}; split it`,
  );
}

function loneSurrogate(text: string): string {
  const found = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.exec(text);
  return found![0].charCodeAt(0).toString(16);
}
