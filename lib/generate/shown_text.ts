/** A text that grows, and what of it can be shown: whole characters, and nothing that may be the beginning of a stop. */
export class ShownText {
  readonly #stop: readonly string[];
  #whole = "";
  #shown = 0;
  #stopped = false;

  /** @param stop texts before which it ends */
  constructor(stop: readonly string[]) {
    this.#stop = stop;
  }

  /** All of it that has been shown. */
  get text(): string {
    return this.#whole.slice(0, this.#shown);
  }

  /** Whether a stop text has appeared: it ends before it. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Takes the text as it is now; returns what can be shown of what is new. */
  grow(whole: string): string {
    // A character may span tokens: a text that ends in a replacement character is still incomplete.
    if (whole.endsWith("\ufffd")) {
      this.#whole = whole;
      return this.#stopAt(whole) ? this.#show(whole.length) : "";
    }
    this.#whole = whole;
    return this.#show(this.#stopAt(whole) ? this.#whole.length : whole.length - this.#heldBack());
  }

  /** The rest, at the end. */
  finish(): string {
    return this.#show(this.#whole.length);
  }

  #show(end: number): string {
    const piece = this.#whole.slice(this.#shown, end);
    this.#shown = Math.max(this.#shown, end);
    return piece;
  }

  /** Cuts the text before the first stop text in it. */
  #stopAt(whole: string): boolean {
    const starts = this.#stop.map((text) => whole.indexOf(text)).filter((start) => start !== -1);
    if (starts.length === 0) return false;
    this.#whole = whole.slice(0, Math.min(...starts));
    this.#stopped = true;
    return true;
  }

  /** The length of the longest end of the text that a stop text begins with. */
  #heldBack(): number {
    let longest = 0;
    for (const text of this.#stop) {
      for (let length = Math.min(text.length - 1, this.#whole.length); length > longest; length--) {
        if (this.#whole.endsWith(text.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
