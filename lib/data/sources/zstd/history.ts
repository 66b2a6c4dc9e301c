/** What a frame has given so far, as far back as its window reaches. */

const START = 1 << 20;

/** Room for the largest block. */
export const MAX_BLOCK = 1 << 17;

/**
 * The bytes lie in one array, which moves its window to the front when it is full. The array grows with what the frame
 * gives: a window of 2 GiB costs a small file nothing.
 */
export class History {
  bytes = new Uint8Array(START);
  /** Where the next byte goes. */
  end = 0;
  /** The window's size. */
  #window = 0;

  /** Begins a frame. */
  reset(window: number): void {
    this.#window = window;
    this.end = 0;
  }

  /** Makes room for a block. */
  reserve(): void {
    if (this.end + MAX_BLOCK <= this.bytes.length) return;
    const largest = this.#window + Math.max(8 * MAX_BLOCK, Math.floor(this.#window / 4));
    if (this.bytes.length < largest) {
      const grown = new Uint8Array(Math.min(2 * this.bytes.length, largest));
      grown.set(this.bytes.subarray(0, this.end));
      this.bytes = grown;
      this.reserve();
      return;
    }
    this.bytes.copyWithin(0, this.end - this.#window, this.end);
    this.end = this.#window;
  }
}
