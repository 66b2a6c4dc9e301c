import type { Texts } from "./texts.js";
import { checkUtf8 } from "./utf8.js";

/** The text of the whole file, as it is read. */
export async function* readText(chunks: AsyncIterable<Uint8Array>, file: string): Texts {
  const where = { byte: 0 };
  let continues = false;
  for await (const chunk of checkUtf8(chunks, file)) {
    yield { text: chunk.toString("utf8"), where, continues };
    continues = true;
  }
  if (!continues) yield { text: "", where };
}
