/** The lines of a stream of bytes. */
import { checkSize, MAX_RECORD } from "./document.js";
import type { Position } from "./position.js";
import { asBuffer } from "./utf8.js";

/** A line without its line feed, and where it begins. */
export interface Line {
  readonly bytes: Buffer;
  readonly where: Position & { readonly line: number };
}

/** Yields the lines of each chunk together. The last needs no line feed. */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Line[]> {
  let parts: Buffer[] = [];
  let length = 0;
  let where = { line: 1, byte: 0 };
  const take = (part: Buffer): Line => {
    const bytes = parts.length === 0 ? part : Buffer.concat([...parts, part], length + part.length);
    checkSize(bytes.length, MAX_RECORD, "a line", where, file);
    const line = { bytes, where };
    where = { line: where.line + 1, byte: where.byte + bytes.length + 1 };
    parts = [];
    length = 0;
    return line;
  };
  for await (const chunk of chunks) {
    const buffer = asBuffer(chunk);
    const lines: Line[] = [];
    let from = 0;
    for (let end = buffer.indexOf(10); end >= 0; end = buffer.indexOf(10, from)) {
      lines.push(take(buffer.subarray(from, end)));
      from = end + 1;
    }
    if (from < buffer.length) {
      parts.push(buffer.subarray(from));
      length += buffer.length - from;
      checkSize(MAX_RECORD, MAX_RECORD, "a line", where, file, length > MAX_RECORD);
    }
    if (lines.length > 0) yield lines;
  }
  if (length > 0) yield [take(Buffer.alloc(0))];
}
