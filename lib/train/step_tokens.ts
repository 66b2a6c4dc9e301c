import type { Tensor } from "../native.js";
import { labelIds } from "../nn/label_mask.js";
import type { RankShare } from "../nn/sharding.js";

/** The tokens of a micro-batch on the device. */
export interface MicroBatch {
  readonly tokens: Tensor<"i32">;
  /** The same as labels (`labelIds`); null: all count. */
  readonly labels: Tensor<"i32"> | null;
}

/** The tokens of a step on the device, and the next step's tokens in transfer. */
export class StepTokens {
  /** The tokens sent ahead, until a step uses them. */
  #ahead: Int32Array | null = null;

  /**
   * @param tensor i32, of the largest step's size, or of a rank's part of it; twice that if `masked`
   * @param share whose part of a step's tokens is meant: every rank has as many sequences, in the order of the ranks
   * @param masked whether some labels do not count: behind a step's tokens lie the same as labels
   */
  constructor(
    private readonly tensor: Tensor<"i32">,
    private readonly share: RankShare,
    private readonly masked: boolean,
  ) {
    // Allocates its memory now. Twice: one step's tokens are in transfer while the host still holds the previous ones.
    for (let i = 0; i < 2; ++i) tensor.prefetch(new Int32Array(tensor.size));
  }

  /** What this rank's device gets of a step's tokens. */
  #own(tokens: Int32Array, mask: Uint8Array | null): Int32Array {
    const { rank, size } = this.share;
    const count = tokens.length / size;
    const part = [rank * count, (rank + 1) * count] as const;
    const own = tokens.subarray(...part);
    if (!this.masked) return own;
    const both = new Int32Array(2 * count);
    both.set(own);
    both.set(mask === null ? own : labelIds(own, mask.subarray(...part)), count);
    return both;
  }

  /** Views of the step's first `count * size` tokens, one for each micro-batch. */
  microBatches(count: number, size: number): MicroBatch[] {
    return Array.from({ length: count }, (_, index) => ({
      tokens: this.tensor.narrow(0, index * size, size),
      labels: this.masked ? this.tensor.narrow(0, (count + index) * size, size) : null,
    }));
  }

  /**
   * Writes a step's tokens to the device, unless they were sent ahead.
   * @param mask a byte a token, 1: it counts in the loss; null: all count
   */
  send(tokens: Int32Array, mask: Uint8Array | null): void {
    if (tokens !== this.#ahead) {
      const own = this.#own(tokens, mask);
      this.tensor.narrow(0, 0, own.length).write(own);
    }
    this.#ahead = null;
  }

  /**
   * Sends the next step's tokens while this step, which must have been enqueued, runs. A hint only: the next step may
   * use other tokens, or the promise may reject.
   */
  sendAhead(next: Promise<Int32Array> | null, maskOf: (tokens: Int32Array) => Uint8Array | null): void {
    next
      ?.then((tokens) => {
        const own = this.#own(tokens, maskOf(tokens));
        this.tensor.narrow(0, 0, own.length).prefetch(own);
        this.#ahead = tokens;
      })
      .catch(() => undefined); // the step that needs the tokens will report it
  }
}
