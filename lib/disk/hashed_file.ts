/** Files whose SHA-256 is taken while they are written: of what was meant, whatever the disk makes of it. */
import { createHash } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { naming } from "./named_error.js";

/** The content of a file. */
export interface FileDigest {
  readonly bytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

/** One system call moves at most 2 GiB. */
const MAX_CALL = 2 ** 30;

/** Bytes that are hashed without a break: other work of the thread waits no longer than a millisecond or two. */
const CHUNK = 2 ** 20;

/** Pieces below this size are gathered: a write for each takes longer than their bytes do. */
const SMALL = 2 ** 18;

/** A new file, written from its beginning to its end. */
export class HashedFile {
  readonly #hash = createHash("sha256");
  #bytes = 0;
  readonly #gathered = new Uint8Array(SMALL);
  #waiting = 0;

  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
  ) {}

  /** Creates a file, or replaces it. @throws Error of the file system, which names the file */
  static async create(path: string): Promise<HashedFile> {
    return new HashedFile(path, await open(path, "w"));
  }

  /** Appends bytes, which must not change until this resolves. @throws Error of the file system, which names the file */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#waiting + bytes.byteLength > SMALL) await this.#flush();
    if (bytes.byteLength > SMALL) {
      await this.#write(bytes);
    } else {
      this.#gathered.set(bytes, this.#waiting);
      this.#waiting += bytes.byteLength;
    }
  }

  async #flush(): Promise<void> {
    if (this.#waiting > 0) await this.#write(this.#gathered.subarray(0, this.#waiting));
    this.#waiting = 0;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await naming(this.path, () => Promise.all([writeAll(this.handle, bytes), this.#add(bytes)]));
  }

  async #add(bytes: Uint8Array): Promise<void> {
    for (let begin = 0; begin < bytes.byteLength; begin += CHUNK) {
      if (begin > 0) await setImmediate();
      this.#hash.update(bytes.subarray(begin, begin + CHUNK));
    }
    this.#bytes += bytes.byteLength;
  }

  /** Syncs the file to the disk and closes it. @throws Error of the file system, which names the file */
  async finish(): Promise<FileDigest> {
    await this.#flush();
    await naming(this.path, () => this.handle.sync());
    await naming(this.path, () => this.handle.close());
    return { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }

  /** Closes the file and deletes it. */
  async abandon(): Promise<void> {
    await this.handle.close().catch(() => undefined); // `finish` may have closed it
    await rm(this.path, { force: true });
  }
}

/** Writes a file of one piece and syncs it. @throws Error of the file system, which names the file */
export async function writeHashed(path: string, content: string | Uint8Array): Promise<FileDigest> {
  const file = await HashedFile.create(path);
  try {
    await file.write(typeof content === "string" ? Buffer.from(content) : content);
    return await file.finish();
  } catch (error) {
    await file.abandon();
    throw error;
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(bytes.byteLength - done, MAX_CALL));
    done += bytesWritten;
  }
}
