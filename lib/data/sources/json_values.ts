/** JSON as it is found: with the NaN and Infinity that Python's `json.dumps` writes. */

import { isUtf8 } from "node:buffer";
import { endOfString, parseJson } from "../../disk/json.js";
import { DataError } from "../../errors.js";
import { kindOf } from "./magic.js";
import { type Position, place } from "./position.js";
import { notUtf8 } from "./utf8.js";

const NOT_A_NUMBER = /^(?:-?Infinity|NaN)/;

/** Parses the bytes of one JSON value. Throws DataError with their place for bytes that are not one. */
export function parseValue(bytes: Buffer, where: Position, file: string): unknown {
  if (!isUtf8(bytes)) throw notUtf8(file, bytes, where);
  const text = bytes.toString("utf8");
  try {
    return parseJson(text);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw notJson(bytes, text, where, file, cause as Error);
    const finite = text.includes("NaN") || text.includes("Infinity") ? withoutNonFinite(text) : text;
    if (finite !== text) {
      try {
        return JSON.parse(finite);
      } catch {
        // The first error is about the text as it stands.
      }
    }
    throw notJson(bytes, text, where, file, cause as Error);
  }
}

/** The text with null for each NaN and Infinity that stands outside strings. */
function withoutNonFinite(text: string): string {
  const parts: string[] = [];
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '"') {
      at = endOfString(text, at);
    } else if (character === "N" || character === "I" || character === "-") {
      const found = NOT_A_NUMBER.exec(text.slice(at, at + 9))?.[0];
      if (found === undefined) continue;
      parts.push(text.slice(from, at), "null");
      at += found.length - 1;
      from = at + 1;
    }
  }
  return parts.join("") + text.slice(from);
}

function notJson(bytes: Buffer, text: string, where: Position, file: string, cause: Error): DataError {
  const at = /at position (\d+)/.exec(cause.message)?.[1];
  const byte = where.byte + (at === undefined ? 0 : Buffer.byteLength(text.slice(0, Number(at))));
  const kind = (where.byte === 0 ? kindOf(bytes) : undefined) ?? "other text";
  const reason = cause.message.replace(/ \(line \d+ column \d+\)$/, "");
  return new DataError(
    `${place(file, where)}: expected JSON but received ${kind} at byte ${byte}: ${reason.slice(0, 200)}`,
    { cause },
  );
}
