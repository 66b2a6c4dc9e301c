import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

/** Bytes read at a time. */
const CHUNK = 1 << 20;

/**
 * SHA-256 of a file, in hex.
 * @param onBytes called with the size of each part read
 * @throws Error of the file system
 */
export async function hashFile(path: string, onBytes?: (bytes: number) => void): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of createReadStream(path, { highWaterMark: CHUNK })) {
    hash.update(bytes as Buffer);
    onBytes?.((bytes as Buffer).length);
  }
  return hash.digest("hex");
}
