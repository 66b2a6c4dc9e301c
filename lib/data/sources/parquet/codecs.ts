/** Decompression of Parquet pages: by Node's zlib and our zstd reader, which verify what they can. */
import { brotliDecompressSync, unzipSync } from "node:zlib";
import type { Compressors } from "hyparquet";
import { zstdDecoder } from "../zstd.js";

export async function pageCodecs(): Promise<Compressors> {
  const { compressors } = await import("hyparquet-compressors");
  const zstd = await zstdDecoder();
  return {
    ...compressors,
    GZIP: (data) => unzipSync(data),
    BROTLI: (data) => brotliDecompressSync(data),
    ZSTD: (data) => zstd(data),
  };
}
