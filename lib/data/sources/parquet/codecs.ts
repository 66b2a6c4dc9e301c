/** Decompression of Parquet pages: by Node's zlib and our zstd reader, which verify what they can. */
import { brotliDecompressSync, unzipSync } from "node:zlib";
import type { Compressors } from "hyparquet";
import { zstdDecoder } from "../zstd.js";

/** zlib takes no limit of 0, which is the size of an empty page. */
const most = (size: number): number => Math.max(1, size);

export async function pageCodecs(): Promise<Compressors> {
  const { compressors } = await import("hyparquet-compressors");
  const zstd = await zstdDecoder();
  return {
    ...compressors,
    GZIP: (data, size) => unzipSync(data, { maxOutputLength: most(size) }),
    BROTLI: (data, size) => brotliDecompressSync(data, { maxOutputLength: most(size) }),
    ZSTD: (data, size) => zstd(data, size),
  };
}
