/** The ranks that train a run together, and what they tell one another beside tensors. */
import { DeviceError } from "../errors.js";
import { type Device, native, Tensor } from "../native.js";
import { alone, type RankShare } from "../nn/sharding.js";
import type { SlowestRank } from "../report/metrics.js";

/** What is asked of a run while it trains: each rank may ask, all of them do it after the same step. */
export interface Wishes {
  readonly save: boolean;
  readonly stop: boolean;
}

export class RunRanks {
  /** Of each rank, what it wishes and how long it has computed. */
  readonly #told: Tensor<"f32"> | null;

  constructor(
    private readonly device: Device,
    readonly share: RankShare = alone,
  ) {
    this.#told = this.shared ? new Tensor(device, "f32", [2 * share.size]) : null;
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
   * What any rank wishes, and which of several computed longest; all of them call it after the same step.
   * @param seconds that this rank has computed in the step; null: not recorded
   */
  async agree({ save, stop }: Wishes, seconds: number | null): Promise<Wishes & { slowest: SlowestRank | null }> {
    if (this.#told === null) return { save, stop, slowest: null };
    const place = this.#told.narrow(0, 2 * this.share.rank, 2);
    place.write(Float32Array.of(Number(save) + 2 * Number(stop), seconds ?? Number.NaN));
    native.allGather(this.#told, place, false);
    const told = await this.#told.read();
    const wishes = told.filter((_, index) => index % 2 === 0).reduce((sum, each) => sum | each, 0);
    const slowest = slowestOf(Array.from(told.filter((_, index) => index % 2 === 1)));
    return { save: (wishes & 1) !== 0, stop: (wishes & 2) !== 0, slowest };
  }

  /** Before each step. */
  beginStep(): void {
    if (this.shared) native.beginStep(this.device);
  }

  /**
   * Waits until all ranks have left the loop of `Trainer.run`.
   * @throws DeviceError if another has gone on, and waits for this one
   */
  async leaveLoop(step: number): Promise<void> {
    if (!this.shared) return;
    await native.leaveLoop(this.device).catch((error: Error) => {
      throw new DeviceError(
        `Trainer.run: at step ${step} ${error.message}: expected all ranks to leave it after the same step, as by ` +
          "trainer.requestStop()",
      );
    });
  }

  /** What the first rank says, as JSON; all of them call it. @param value of the first rank; others' does not count */
  async tell<T>(value: T): Promise<T> {
    const [first] = this.leads ? await this.all(value) : await this.all<T | null>(null);
    return first as T;
  }

  /** What each rank says, as JSON, in their order; all of them call it. */
  async all<T>(own: T): Promise<T[]> {
    if (!this.shared) return [own];
    const { rank, size } = this.share;
    const bytes = new TextEncoder().encode(JSON.stringify(own));
    const lengths = await this.#sum(new Float32Array(size).fill(bytes.length, rank, rank + 1));
    const begins = Array.from(lengths, (_, index) => lengths.subarray(0, index).reduce((sum, each) => sum + each, 0));
    const told = new Float32Array(lengths.reduce((sum, each) => sum + each, 0));
    told.set(bytes, begins[rank]!);
    const all = Uint8Array.from(await this.#sum(told));
    return begins.map((begin, index) => {
      return JSON.parse(new TextDecoder().decode(all.subarray(begin, begin + lengths[index]!))) as T;
    });
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
    this.#told?.dispose();
  }
}

function slowestOf(seconds: readonly number[]): SlowestRank | null {
  const most = Math.max(...seconds);
  if (Number.isNaN(most)) return null;
  const others = seconds.reduce((sum, each) => sum + each, -most) / (seconds.length - 1);
  return { rank: seconds.indexOf(most), behind: most - others };
}
