/** Bytes of a stream in the amounts that a format asks for. */

export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  #position = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Bytes taken so far. */
  get position(): number {
    return this.#position;
  }

  /** The next `count` bytes, or all that are left. They are overwritten by nobody. */
  async upTo(count: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let have = 0;
    while (have < count && (await this.#fill())) {
      const part = this.#chunk.subarray(this.#at, this.#at + count - have);
      this.#at += part.length;
      have += part.length;
      parts.push(part);
    }
    this.#position += have;
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, have);
  }

  /** The next `count` bytes. Throws an Error if the data ends before. */
  async exactly(count: number): Promise<Uint8Array> {
    const bytes = await this.upTo(count);
    if (bytes.length < count) throw new Error(CUT_SHORT);
    return bytes;
  }

  /** Passes over `count` bytes. Throws an Error if the data ends before. */
  async skip(count: number): Promise<void> {
    for (let left = count; left > 0; ) {
      if (!(await this.#fill())) throw new Error(CUT_SHORT);
      const taken = Math.min(left, this.#chunk.length - this.#at);
      this.#at += taken;
      this.#position += taken;
      left -= taken;
    }
  }

  /** Ends the stream before its end. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  /** Whether there is a byte left, now in #chunk. */
  async #fill(): Promise<boolean> {
    while (this.#at === this.#chunk.length) {
      const next = await this.#chunks.next();
      if (next.done) return false;
      this.#chunk = next.value;
      this.#at = 0;
    }
    return true;
  }
}

/** What a format says of data that ends too early. */
export const CUT_SHORT = "it is cut short";
