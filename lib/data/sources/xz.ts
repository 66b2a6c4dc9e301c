import { createRequire } from "node:module";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { CUT_SHORT } from "./byte_reader.js";

/** What the codes in xz-decompress's messages mean (xz.h of XZ Embedded). */
const CODES: Readonly<Record<string, string>> = {
  "2": "a check of a kind that is not supported (CRC32 and CRC64 are)",
  "3": "no memory for its dictionary",
  "4": "a dictionary of more than 64 MiB",
  "5": "it does not begin like xz data",
  "6": "a filter or check that is not supported (LZMA2 with CRC32 or CRC64 is)",
  "7": "its data or its checksum does not match",
  "8": CUT_SHORT,
};

/** The content of xz data: any number of streams, each block's CRC verified. Throws an Error that says what is damaged. */
export async function* unxz(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  // The package is CommonJS whose exports Node cannot name.
  const { XzReadableStream } = createRequire(import.meta.url)("xz-decompress") as typeof import("xz-decompress");
  const input = Readable.toWeb(Readable.from(bytes)) as ReadableStream<Uint8Array>;
  const output = new XzReadableStream(input as never) as unknown as ReadableStream<Uint8Array>;
  try {
    for await (const chunk of output) if (chunk.length > 0) yield chunk;
  } catch (cause) {
    const code = /error code (\d+)$/.exec((cause as Error).message)?.[1];
    throw code === undefined ? cause : new Error(CODES[code] ?? `error ${code}`, { cause });
  }
}
