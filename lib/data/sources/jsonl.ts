import { parseValue } from "./json_values.js";
import { splitLines } from "./lines.js";
import { place } from "./position.js";
import type { TextField } from "./text_field.js";
import type { Texts } from "./texts.js";

/** The texts of a file that has one JSON object a line. Blank lines are passed over. */
export async function* readJsonl(chunks: AsyncIterable<Uint8Array>, file: string, field: TextField): Texts {
  for await (const lines of splitLines(chunks, file)) {
    for (const { bytes, where } of lines) {
      // A byte order mark begins a file, or one of several that were joined.
      const content = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
      if (isBlank(content)) continue;
      yield { ...field.of(parseValue(content, where, file), place(file, where)), where };
    }
  }
}

function isBlank(line: Buffer): boolean {
  for (const byte of line) if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false;
  return true;
}
