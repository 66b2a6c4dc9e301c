import { checkSize, MAX_DOCUMENT } from "./document.js";
import type { Texts } from "./texts.js";
import { checkUtf8 } from "./utf8.js";

/** The text of the whole file. */
export async function* readText(chunks: AsyncIterable<Uint8Array>, file: string): Texts {
  const where = { byte: 0 };
  const parts: string[] = [];
  let bytes = 0;
  for await (const chunk of checkUtf8(chunks, file)) {
    bytes += chunk.length;
    checkSize(MAX_DOCUMENT, MAX_DOCUMENT, "a text file", where, file, bytes > MAX_DOCUMENT);
    parts.push(chunk.toString("utf8"));
  }
  yield { text: parts.join(""), where };
}
