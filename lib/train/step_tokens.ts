import type { Tensor } from "../native.js";
import type { RankShare } from "../nn/sharding.js";

/** The tokens of a step on the device, and the next step's tokens in transfer. */
export class StepTokens {
  /** The tokens sent ahead, until a step uses them. */
  #ahead: Int32Array | null = null;

  /**
   * @param tensor i32, of the largest step's size, or of a rank's part of it
   * @param share whose part of a step's tokens is meant: every rank has as many sequences, in the order of the ranks
   */
  constructor(
    private readonly tensor: Tensor<"i32">,
    private readonly share: RankShare,
  ) {
    // Allocates its memory now. Twice: one step's tokens are in transfer while the host still holds the previous ones.
    for (let i = 0; i < 2; ++i) tensor.prefetch(new Int32Array(tensor.size));
  }

  #own(tokens: Int32Array): Int32Array {
    const { rank, size } = this.share;
    const count = tokens.length / size;
    return tokens.subarray(rank * count, (rank + 1) * count);
  }

  /** Views of the step's first `count * size` tokens, one for each micro-batch. */
  microBatches(count: number, size: number): Tensor<"i32">[] {
    return Array.from({ length: count }, (_, index) => this.tensor.narrow(0, index * size, size));
  }

  /** Writes a step's tokens to the device, unless they were sent ahead. */
  send(tokens: Int32Array): void {
    const own = this.#own(tokens);
    if (tokens !== this.#ahead) this.tensor.narrow(0, 0, own.length).write(own);
    this.#ahead = null;
  }

  /**
   * Sends the next step's tokens while this step, which must have been enqueued, runs. A hint only: the next step may
   * use other tokens, or the promise may reject.
   */
  sendAhead(next: Promise<Int32Array> | null): void {
    next
      ?.then((tokens) => {
        const own = this.#own(tokens);
        this.tensor.narrow(0, 0, own.length).prefetch(own);
        this.#ahead = tokens;
      })
      .catch(() => undefined); // the step that needs the tokens will report it
  }
}
