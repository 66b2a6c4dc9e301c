/** Compressed files, as what they hold. */
import { bunzip2 } from "./bzip2.js";
import { checkExpansion } from "./expansion.js";
import type { Compression } from "./formats.js";
import { gunzip } from "./gzip.js";
import { kindOf } from "./magic.js";
import { damaged } from "./position.js";
import { unxz } from "./xz.js";
import { unzstd } from "./zstd.js";

const DECODERS = { gzip: gunzip, zstd: unzstd, xz: unxz, bzip2: bunzip2 };

/** Decompresses and verifies. Throws DataError naming the file for data that is damaged, cut short or something else. */
export async function* decompress(
  bytes: AsyncIterable<Uint8Array>,
  compression: Compression,
  file: string,
): AsyncGenerator<Uint8Array> {
  if (compression === "none") {
    yield* bytes;
    return;
  }
  let start: Uint8Array | undefined;
  let taken = 0;
  let given = 0;
  async function* watched(): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      start ??= chunk.subarray(0, 16);
      taken += chunk.length;
      yield chunk;
    }
    if (start === undefined) throw new Error("an empty file");
  }
  try {
    for await (const chunk of DECODERS[compression](watched())) {
      given += chunk.length;
      checkExpansion(file, taken, given);
      yield chunk;
    }
  } catch (cause) {
    throw damaged(file, `${compression} data`, cause, start && kindOf(start));
  }
}
