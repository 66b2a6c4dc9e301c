import type { Tensor } from "../native.js";

/** The tokens of a step on the device, and on their way to it. */
export class StepTokens {
  /** The tokens that were sent ahead, until a step takes them. */
  #ahead: Int32Array | null = null;

  /** @param tensor i32, of as many tokens as the largest step has */
  constructor(private readonly tensor: Tensor<"i32">) {
    // Takes the memory of it now. Twice, for one step's tokens are on their way while the host still holds the last's.
    for (let i = 0; i < 2; ++i) tensor.prefetch(new Int32Array(tensor.size));
  }

  /** Views of the step's first `count * size` tokens, one for each micro-batch. */
  microBatches(count: number, size: number): Tensor<"i32">[] {
    return Array.from({ length: count }, (_, index) => this.tensor.narrow(0, index * size, size));
  }

  /** Puts a step's tokens on the device, unless they were sent ahead. */
  send(tokens: Int32Array): void {
    if (tokens !== this.#ahead) this.tensor.narrow(0, 0, tokens.length).write(tokens);
    this.#ahead = null;
  }

  /**
   * Sends the next step's tokens while this step, which must have been enqueued, runs. A hint only: the next step may
   * use other tokens, or the promise may reject.
   */
  sendAhead(next: Promise<Int32Array> | null): void {
    next
      ?.then((tokens) => {
        this.tensor.narrow(0, 0, tokens.length).prefetch(tokens);
        this.#ahead = tokens;
      })
      .catch(() => undefined); // the step that wants the tokens will report it
  }
}
