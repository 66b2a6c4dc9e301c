/** Documents, and what may not be one. */
import { inputLimits } from "../../disk/input_limits.js";
import { DataError } from "../../errors.js";
import { type Position, place } from "./position.js";

/** A document, or the next part of one: never empty, well-formed. */
export interface TextPiece {
  readonly text: string;
  /** Whether a document begins here. */
  readonly first: boolean;
  /** Whether it is of the document's prompt, which does not count in the loss. */
  readonly prompt: boolean;
}

/** A piece, and where its document begins. */
export interface SourcePiece extends TextPiece {
  readonly where: Position;
}

/** Bytes of a document that must be encoded as one string, as UTF-8: V8's hold less than 512 MiB. */
export const MAX_DOCUMENT = 2 ** 28;

/** Bytes of a JSON value or CSV record around a document. */
export const MAX_RECORD: number = inputLimits.record;

/** Why a record gave no document. */
export type PassedOver = "null" | "empty";

/** Checks a text that came out of a record. Throws DataError for one that cannot be a document. */
export function checkText(text: string, where: Position, file: string): void {
  if (text.isWellFormed()) return;
  const at = place(file, where);
  throw new DataError(`${at}: expected text but received half of a surrogate pair (\\u${loneSurrogate(text)})`);
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
