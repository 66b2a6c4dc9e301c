/** What can be read at any place: a file, or bytes in its stead. */
export interface Readable {
  read(bytes: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
}

/**
 * Fills `bytes` from a file. One read may give less than what is there, on network file systems above all.
 * @param position of the first byte in the file
 * @returns the number of bytes read, which is smaller only at the end of the file
 */
export async function readFully(file: Readable, bytes: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}
