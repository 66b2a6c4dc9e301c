/** The ranks that train a run together, and what they tell one another beside tensors. */
import { type Device, native, Tensor } from "../native.js";
import { alone, type RankShare } from "../nn/sharding.js";

/** What is asked of a run while it trains: each rank may ask, all of them do it after the same step. */
export interface Wishes {
  readonly save: boolean;
  readonly stop: boolean;
}

export class RunRanks {
  /** i32, one for each rank. */
  readonly #wishes: Tensor<"i32"> | null;

  constructor(
    private readonly device: Device,
    readonly share: RankShare = alone,
  ) {
    this.#wishes = this.shared ? new Tensor(device, "i32", [share.size]) : null;
  }

  /** Whether there are other ranks. */
  get shared(): boolean {
    return this.share.size > 1;
  }

  /** Whether this is the one that writes the run's folder. */
  get leads(): boolean {
    return this.share.rank === 0;
  }

  /**
   * What any rank wishes, to be asked for once the step that begins now is done. A rank alone is asked then, several
   * agree on what they wish now: all of them call this between the same steps.
   */
  agree(own: () => Wishes): () => Promise<Wishes> {
    if (this.#wishes === null) return async () => own();
    const { save, stop } = own();
    const place = this.#wishes.narrow(0, this.share.rank, 1);
    place.write(Int32Array.of(Number(save) + 2 * Number(stop)));
    native.allGather(this.#wishes, place, false);
    const wishes = this.#wishes.read();
    wishes.catch(() => undefined); // the step that fails too tells it
    return async () => {
      const all = (await wishes).reduce((sum, each) => sum | each, 0);
      return { save: (all & 1) !== 0, stop: (all & 2) !== 0 };
    };
  }

  /** What the first rank says, as JSON; all of them call it. @param value of the first rank; others' does not count */
  async tell<T>(value: T): Promise<T> {
    if (!this.shared) return value;
    const bytes = this.leads ? new TextEncoder().encode(JSON.stringify(value)) : new Uint8Array();
    const [length] = await this.#sum(Float32Array.of(bytes.length));
    const told = new Float32Array(length!);
    told.set(bytes);
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(await this.#sum(told)))) as T;
  }

  /** The sum of all ranks' numbers, in their order. */
  async total(own: number): Promise<number> {
    if (!this.shared) return own;
    const { rank, size } = this.share;
    // A number as two of 24 bits each.
    const high = Math.fround(own);
    using all = new Tensor(this.device, "f32", [2 * size]);
    const place = all.narrow(0, 2 * rank, 2);
    place.write(Float32Array.of(high, own - high));
    native.allGather(all, place, false);
    return (await all.read()).reduce((sum, each) => sum + each, 0);
  }

  /** Sums of whole numbers below 2^24: what other ranks add is zeros. */
  async #sum(values: Float32Array): Promise<Float32Array> {
    using tensor = new Tensor(this.device, "f32", [values.length]);
    tensor.write(values);
    native.allReduce(tensor);
    return tensor.read();
  }

  dispose(): void {
    this.#wishes?.dispose();
  }
}
