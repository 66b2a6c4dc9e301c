/**
 * How the flat tensors of a model are split over ranks (ZeRO-1, arXiv 1910.02054): every rank has all weights and adds up
 * a gradient of all, but masters and moments of its own part alone. The flat tensors are cut into buckets, so that one can
 * be on its way while the next is computed, and every bucket into as many equal parts as there are ranks.
 */
import { native, type Tensor } from "../native.js";

/** Which of several processes this one is, and how much they exchange at once. */
export interface RankShare {
  /** From 0 to below `size`. */
  readonly rank: number;
  readonly size: number;
  /** The most parameters of a bucket, about. */
  readonly bucketParameters: number;
}

/** A process that trains by itself. */
export const alone: RankShare = { rank: 0, size: 1, bucketParameters: Number.POSITIVE_INFINITY };

/** A range of elements of the flat tensors, `size` a multiple of the number of ranks. */
export interface Bucket {
  readonly begin: number;
  readonly size: number;
}

export class Sharding {
  readonly buckets: readonly Bucket[];

  /**
   * @param elements of the flat tensors, as `paddedSize` has it
   * @param alignment elements to which the start of every rank's part is aligned
   */
  constructor(
    readonly share: RankShare,
    elements: number,
    alignment: number,
  ) {
    const grain = alignment * share.size;
    const most = Math.max(1, Math.ceil(Math.min(share.bucketParameters, elements) / grain)) * grain;
    this.buckets = Array.from({ length: Math.ceil(elements / most) }, (_, index) => {
      const begin = index * most;
      return { begin, size: Math.min(most, elements - begin) };
    });
  }

  /** Whether there are other ranks. */
  get shared(): boolean {
    return this.share.size > 1;
  }

  /** A bucket of a flat tensor. */
  whole<T extends Tensor>(flat: T, { begin, size }: Bucket): T {
    return flat.narrow(0, begin, size) as T;
  }

  /** This rank's part of a bucket, in a flat tensor. */
  own<T extends Tensor>(flat: T, bucket: Bucket): T {
    return flat.narrow(0, this.ownBegin(bucket), this.#part(bucket)) as T;
  }

  /** Where this rank's part of a bucket begins in the flat tensors. */
  ownBegin(bucket: Bucket): number {
    return bucket.begin + this.share.rank * this.#part(bucket);
  }

  /** How many elements of that part, from its first, are among the first `decayed` of the flat tensors. */
  ownDecayed(bucket: Bucket, decayed: number): number {
    return Math.max(0, Math.min(this.#part(bucket), decayed - this.ownBegin(bucket)));
  }

  /** The same part, in a tensor that has the rank's own parts alone, one after another. */
  kept<T extends Tensor>(parts: T, bucket: Bucket): T {
    return parts.narrow(0, bucket.begin / this.share.size, this.#part(bucket)) as T;
  }

  /** Copies this rank's parts of a flat tensor to where they are kept. */
  keep(parts: Tensor, flat: Tensor): void {
    for (const bucket of this.buckets) native.copy(this.kept(parts, bucket), this.own(flat, bucket));
  }

  #part({ size }: Bucket): number {
    return size / this.share.size;
  }
}

/** A rank's part of so many things in a row: about as many for each, perhaps none. */
export function ownRange(count: number, { rank, size }: RankShare): { readonly begin: number; readonly end: number } {
  return { begin: Math.floor((rank * count) / size), end: Math.floor(((rank + 1) * count) / size) };
}

/** Elements with padding behind them, so that all buckets can be cut into equal, aligned parts; for one rank as they are. */
export function paddedSize(elements: number, ranks: number, alignment: number): number {
  if (ranks === 1) return elements;
  return Math.ceil(elements / (alignment * ranks)) * alignment * ranks;
}
