import { CUT_SHORT } from "./byte_reader.js";

/** Bytes given to the decoder at a time. It decodes all that it is given at once, and bzip2 can shrink a lot. */
const FEED = 1 << 16;

/** The content of bzip2 data: any number of streams, the CRC of each and of its blocks verified. */
export async function* bunzip2(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { default: decoder } = await import("unbzip2-stream");
  const stream = decoder() as unknown as NodeJS.EventEmitter & { write(data: Uint8Array): boolean; end(): void };
  const ready: Uint8Array[] = [];
  let failure: Error | undefined;
  stream.on("data", (block: Uint8Array) => ready.push(block));
  stream.on("error", (error: Error) => {
    failure ??= new Error(reason(error.message), { cause: error });
  });
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length; at += FEED) {
      stream.write(chunk.subarray(at, at + FEED));
      if (failure !== undefined) throw failure;
      yield* ready.splice(0);
    }
  }
  stream.end();
  if (failure !== undefined) throw failure;
  yield* ready;
}

/** The decoder's messages, in words. */
function reason(message: string): string {
  if (message.includes("crc32")) return "its CRC does not match";
  if (message.includes("No magic number") || message.includes("Not a BZIP"))
    return "a stream that does not begin like one";
  if (message.includes("prematurely") || message.includes("undefined")) return CUT_SHORT;
  return "a damaged block";
}
