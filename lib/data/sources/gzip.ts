import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";

/** The content of gzip data: any number of members. Node's zlib verifies each one's CRC and length. */
export async function* gunzip(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let fed = 0;
  let wasReadToEnd = false;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      fed += chunk.length;
      yield chunk;
    }
    wasReadToEnd = true;
  }
  const stream = createGunzip({ chunkSize: 1 << 20 });
  // The loop below receives an error of either stream, so the pipeline's callback does nothing.
  yield* pipeline(Readable.from(counted()), stream, () => undefined);
  // After a member, zlib takes bytes that begin with zero for padding and ends there without an error.
  if (!wasReadToEnd || fed !== stream.bytesWritten) throw new Error("other data after the last member");
}
