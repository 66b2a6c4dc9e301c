/** Text is UTF-8, or an error that says where it is not. */
import { isUtf8 } from "node:buffer";
import { DataError } from "../../errors.js";
import { kindOf } from "./magic.js";
import { type Position, place } from "./position.js";

/** The bytes of a stream of UTF-8 text, checked, in chunks of whole characters, without a byte order mark. */
export async function* checkUtf8(chunks: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Buffer> {
  let carry: Buffer = Buffer.alloc(0);
  let byte = 0;
  let line = 1;
  for await (const chunk of chunks) {
    const bytes = carry.length > 0 ? Buffer.concat([carry, chunk]) : asBuffer(chunk);
    const end = completeLength(bytes);
    const whole = bytes.subarray(0, end);
    if (!isUtf8(whole)) throw notUtf8(file, whole, { line, byte });
    const hasMark = byte === 0 && whole[0] === 0xef && whole[1] === 0xbb && whole[2] === 0xbf;
    if (end > (hasMark ? 3 : 0)) yield whole.subarray(hasMark ? 3 : 0);
    line += countLines(whole);
    byte += end;
    carry = bytes.subarray(end);
  }
  if (carry.length > 0) throw notUtf8(file, carry, { line, byte });
}

/** The error for `bytes` at a position, which are not UTF-8: it names the line and byte of the first that is not. */
export function notUtf8(file: string, bytes: Buffer, { line, row, byte }: Position): DataError {
  const bad = firstInvalid(bytes);
  const where = { line: line && line + countLines(bytes.subarray(0, bad)), row };
  const kind = byte === 0 && row === undefined ? kindOf(bytes) : undefined;
  const received = `${kind === undefined ? "" : `${kind}: `}an invalid sequence at byte ${byte + bad}${row === undefined ? "" : " of it"}`;
  return new DataError(`${place(file, where)}: expected UTF-8 text but received ${received}`);
}

/** The same bytes as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Line feeds in `bytes`. */
function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count++;
  return count;
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
  // A window at a time: a document may be longer than a string can be.
  const STEP = 1 << 20;
  let from = 0;
  while (from + STEP < bytes.length) {
    const end = from + completeLength(bytes.subarray(from, from + STEP));
    if (!isUtf8(bytes.subarray(from, end))) break;
    from = end;
  }
  const window = bytes.subarray(from, from + STEP);
  const again = Buffer.from(window.toString("utf8"), "utf8");
  let index = 0;
  while (index < window.length && window[index] === again[index]) index++;
  // The bad bytes may begin like U+FFFD (EF BF BD) itself: step back to where the replacement begins.
  while (index > 0 && (again[index]! & 0xc0) === 0x80) index--;
  return from + index;
}
