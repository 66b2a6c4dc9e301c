/** Text as a stream: checked UTF-8, lines, and pieces of bounded length. */
import { isUtf8 } from "node:buffer";
import { DataError } from "../errors.js";

/**
 * Longest piece of a document that is encoded at once, in UTF-16 units. A long text is encoded in pieces so that one
 * huge file keeps every core busy and memory does not grow with it; short ones also encode faster per byte.
 */
const MAX_PIECE = 16_384;

/** Decodes UTF-8 bytes, leaving out a byte order mark. Throws DataError naming the first byte that is not UTF-8. */
export async function* decodeUtf8(chunks: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<string> {
  let carry = Buffer.alloc(0);
  let offset = 0;
  for await (const chunk of chunks) {
    const bytes = carry.length > 0 ? Buffer.concat([carry, chunk]) : Buffer.from(chunk);
    const end = completeLength(bytes);
    const whole = bytes.subarray(0, end);
    if (!isUtf8(whole)) throw notUtf8(file, offset + firstInvalid(whole));
    const text = whole.toString("utf8");
    if (end > 0) yield offset === 0 && text.startsWith("\uFEFF") ? text.slice(1) : text;
    offset += end;
    carry = bytes.subarray(end);
  }
  if (carry.length > 0) throw notUtf8(file, offset);
}

function notUtf8(file: string, offset: number): DataError {
  return new DataError(`${file}: expected UTF-8 text but received an invalid sequence at byte ${offset}`);
}

/** Length of `bytes` without an incomplete last character. */
function completeLength(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) break;
    if (byte >= 0xc0) {
      const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return needed > back ? bytes.length - back : bytes.length;
    }
  }
  return bytes.length;
}

/** Offset of the first byte that is not UTF-8: where decoding with replacement and encoding again first differs. */
function firstInvalid(bytes: Buffer): number {
  const again = Buffer.from(bytes.toString("utf8"), "utf8");
  let index = 0;
  while (bytes[index] === again[index]) index++;
  // The bad bytes may begin like U+FFFD (EF BF BD) itself: step back to where the replacement begins.
  while (index > 0 && (again[index]! & 0xc0) === 0x80) index--;
  return index;
}

/** The lines of a text stream, without their ends (LF or CRLF). */
export async function* splitLines(texts: AsyncIterable<string>): AsyncGenerator<string> {
  let rest: string[] = [];
  for await (const text of texts) {
    const lines = text.split("\n");
    rest.push(lines[0]!);
    for (const line of lines.slice(1)) {
      yield rest.join("").replace(/\r$/, "");
      rest = [line];
    }
  }
  const last = rest.join("");
  if (last !== "") yield last;
}

/**
 * Cuts one document into pieces of at most 16384 UTF-16 units. A cut is made where byte-level tokenizers (GPT-2,
 * Llama 3 and similar) split anyway, so that the pieces' tokens are the document's: after a single line break or before
 * a single space, between other characters. Only a run of 8192 characters without one is cut elsewhere. A tokenizer
 * that marks the start of a text (SentencePiece) treats each piece as a text.
 */
export async function* splitPieces(texts: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of texts) {
    rest += text;
    let from = 0;
    while (rest.length - from > MAX_PIECE) {
      const end = cutPoint(rest, from + MAX_PIECE);
      yield rest.slice(from, end);
      from = end;
    }
    rest = rest.slice(from);
  }
  if (rest !== "") yield rest;
}

/** The last good place to cut at or before `limit`, at most half a piece before it; text[limit] exists. */
function cutPoint(text: string, limit: number): number {
  const earliest = limit - MAX_PIECE / 2;
  for (let i = limit; i > earliest; i--) {
    if (text[i - 1] === "\n" && !isSpace(text, i - 2) && !isSpace(text, i)) return i;
  }
  for (let i = limit - 1; i > earliest; i--) {
    if (text[i] === " " && !isSpace(text, i - 1) && !isSpace(text, i + 1)) return i;
  }
  const splitsPair = text.charCodeAt(limit) >> 10 === 0xdc00 >> 10;
  return splitsPair ? limit - 1 : limit;
}

function isSpace(text: string, index: number): boolean {
  return /\s/.test(text[index]!);
}
