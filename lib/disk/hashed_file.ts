/** Files whose SHA-256 is taken while they are written: of what was meant, whatever the disk makes of it. */
import { createHash } from "node:crypto";
import { constants, type FileHandle, open, rm } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { ALIGNMENT, BLOCK_BYTES, giveBlock, takeBlock } from "./aligned_block.js";
import { naming } from "./named_error.js";

/** The content of a file. */
export interface FileDigest {
  readonly bytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

/** Bytes that are hashed without a break: other work of the thread waits no longer than a millisecond. */
const CHUNK = 2 ** 20;

/**
 * A new file, written from its beginning to its end.
 *
 * Whole blocks go past the page cache where the file system can do that. Such a file is not read again soon: in the cache
 * it would push out the text that is trained on, and there each of its pages costs the processors, which train meanwhile.
 */
export class HashedFile {
  readonly #hash = createHash("sha256");
  /** Bytes that are in the file. */
  #bytes = 0;
  readonly #aligned = takeBlock();
  readonly #block = this.#aligned ?? new Uint8Array(BLOCK_BYTES);
  /** Bytes of the block that are not in the file yet. */
  #waiting = 0;
  /** The same file for direct writes; null: it cannot have them; undefined: not tried yet. */
  #direct: FileHandle | null | undefined = this.#aligned === null ? null : undefined;

  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
  ) {}

  /** Creates a file, or replaces it. @throws Error of the file system, which names the file */
  static async create(path: string): Promise<HashedFile> {
    return new HashedFile(path, await open(path, "w"));
  }

  /** Appends bytes, which may change when this resolves. @throws Error of the file system, which names the file */
  async write(bytes: Uint8Array): Promise<void> {
    for (let begin = 0; begin < bytes.byteLength; ) {
      const count = Math.min(bytes.byteLength - begin, BLOCK_BYTES - this.#waiting);
      this.#block.set(bytes.subarray(begin, begin + count), this.#waiting);
      this.#waiting += count;
      begin += count;
      if (this.#waiting === BLOCK_BYTES) await this.#flush();
    }
  }

  async #flush(): Promise<void> {
    const bytes = this.#block.subarray(0, this.#waiting);
    await naming(this.path, () => Promise.all([this.#put(bytes), this.#add(bytes)]));
    this.#bytes += bytes.byteLength;
    this.#waiting = 0;
  }

  async #put(bytes: Uint8Array): Promise<void> {
    const done = bytes.byteLength === BLOCK_BYTES ? await this.#putDirectly(bytes) : 0;
    await writeAll(this.handle, bytes.subarray(done), this.#bytes + done);
  }

  /** Writes a block past the page cache. @returns how many bytes it has written: the rest is to be written otherwise */
  async #putDirectly(block: Uint8Array): Promise<number> {
    if (this.#direct === undefined) this.#direct = await openDirect(this.path);
    let done = 0;
    while (this.#direct !== null && done < block.byteLength && done % ALIGNMENT === 0) {
      const written = await this.#direct.write(block, done, block.byteLength - done, this.#bytes + done).catch(refused);
      if (written === null) await this.#closeDirect();
      else done += written.bytesWritten;
    }
    return done;
  }

  async #closeDirect(): Promise<void> {
    const direct = this.#direct;
    this.#direct = null;
    await direct?.close();
  }

  async #add(bytes: Uint8Array): Promise<void> {
    for (let begin = 0; begin < bytes.byteLength; begin += CHUNK) {
      if (begin > 0) await setImmediate();
      this.#hash.update(bytes.subarray(begin, begin + CHUNK));
    }
  }

  /** Syncs the file to the disk and closes it. @throws Error of the file system, which names the file */
  async finish(): Promise<FileDigest> {
    if (this.#waiting > 0) await this.#flush();
    await naming(this.path, () => this.#closeDirect());
    await naming(this.path, () => this.handle.sync());
    await naming(this.path, () => this.handle.close());
    if (this.#aligned !== null) giveBlock(this.#aligned);
    return { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }

  /** Closes the file and deletes it. */
  async abandon(): Promise<void> {
    await this.#closeDirect().catch(() => undefined);
    await this.handle.close().catch(() => undefined); // `finish` may have closed it
    if (this.#aligned !== null) giveBlock(this.#aligned);
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

/** Opens a file that is there for writes past the page cache; null: the file system has none. */
async function openDirect(path: string): Promise<FileHandle | null> {
  const { O_WRONLY, O_DIRECT } = constants;
  return O_DIRECT === undefined ? null : open(path, O_WRONLY | O_DIRECT).catch(() => null);
}

/** What a file system says that takes no write of this kind: null. */
function refused(error: NodeJS.ErrnoException): null {
  if (error.code === "EINVAL") return null;
  throw error;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.byteLength - done, position + done);
    done += bytesWritten;
  }
}
