/**
 * How the flat tensors of a model are split over ranks (ZeRO, arXiv 1910.02054): every rank has all weights, but masters
 * and moments, and with ZeRO-2 the gradient's sum, of its own part alone. The flat tensors are cut into buckets, so that
 * one can be on its way while the next is computed, and every bucket into as many equal parts as there are ranks.
 */
import { native, type Tensor } from "../native.js";

/** Which of several processes this one is, and how they share a run. */
export interface RankShare {
  /** From 0 to below `size`. */
  readonly rank: number;
  readonly size: number;
  /** The least parameters of a bucket, if there are as many at once. */
  readonly bucketParameters: number;
  /** Whether buckets are on their way while others are computed. */
  readonly overlap: boolean;
  /** 1: a rank adds up the gradient of all parameters; 2: it keeps the sum of its own part alone. */
  readonly zero: 1 | 2;
}

/** A process that trains by itself. */
export const alone: RankShare = {
  rank: 0,
  size: 1,
  bucketParameters: Number.POSITIVE_INFINITY,
  overlap: false,
  zero: 1,
};

/** A range of elements of the flat tensors, `size` a multiple of the number of ranks. */
export interface Bucket {
  readonly begin: number;
  readonly size: number;
}

/** Parameters whose gradients are complete at once: of a layer's matrices (its number), or of all vectors. */
export type Part = "embedding" | "head" | "vectors" | number;

/** The range of a part in the flat tensors. */
export interface Unit extends Bucket {
  readonly part: Part;
}

/** Neighbours that are exchanged at the same time, in one bucket or, if they are large, in several. */
export interface Group extends Bucket {
  /** In their order in the flat tensors. */
  readonly parts: readonly Part[];
  readonly buckets: readonly Bucket[];
  /** Where the gradient of a micro-batch has its place while it is computed and sent, with ZeRO-2. */
  readonly staged: number;
}

export class Sharding {
  readonly buckets: readonly Bucket[];
  /** None of a process alone. */
  readonly groups: readonly Group[];
  /** Elements of the places of all groups' gradients, some of which share theirs. */
  readonly stagedSize: number;

  /**
   * @param units ranges of the flat tensors that have all elements, in their order; for several ranks, of sizes that are
   * multiples of `alignment` and their number
   * @param alignment elements to which the start of every rank's part is aligned
   */
  constructor(
    readonly share: RankShare,
    units: readonly Unit[],
    alignment: number,
  ) {
    if (share.size === 1) {
      this.groups = [];
      this.buckets = [{ begin: 0, size: units.reduce((sum, unit) => sum + unit.size, 0) }];
      this.stagedSize = 0;
      return;
    }
    const ranges = grouped(units, share.bucketParameters);
    const [places, size] = stagedPlaces(ranges);
    this.groups = ranges.map((range, index) => ({
      ...range,
      buckets: cut(range, share, alignment),
      staged: places[index]!,
    }));
    this.buckets = this.groups.flatMap(({ buckets }) => buckets);
    this.stagedSize = size;
  }

  /** Whether there are other ranks. */
  get shared(): boolean {
    return this.share.size > 1;
  }

  /** The group of a part; a tied head is in that of the embedding. */
  groupOf(part: Part): Group {
    const group = this.groups.find(({ parts }) => parts.includes(part));
    return group ?? this.groupOf("embedding");
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

  /** Copies what of `elements`, those of the flat tensors from `begin` on, is this rank's. */
  keepFrom(parts: Tensor, elements: Tensor, begin: number): void {
    for (const bucket of this.buckets) {
      const own = this.ownBegin(bucket);
      const from = Math.max(begin, own);
      const size = Math.min(begin + elements.size, own + this.#part(bucket)) - from;
      if (size <= 0) continue;
      native.copy(this.kept(parts, bucket).narrow(0, from - own, size), elements.narrow(0, from - begin, size));
    }
  }

  #part({ size }: Bucket): number {
    return size / this.share.size;
  }
}

type Range = Omit<Group, "buckets" | "staged">;

/** Layers together, as many as have `least` elements, or all; what else there is by itself. */
export function grouped(units: readonly Unit[], least: number): Range[] {
  const groups: Range[] = [];
  const isLayers = (group: Range | undefined) => typeof group?.parts[0] === "number";
  const join = (group: Range, { parts, size }: Range) => {
    groups[groups.indexOf(group)] = { ...group, parts: [...group.parts, ...parts], size: group.size + size };
  };
  for (const { part, begin, size } of units) {
    const last = groups.at(-1);
    const next = { parts: [part], begin, size };
    if (last !== undefined && isLayers(last) && isLayers(next) && last.size < least) join(last, next);
    else groups.push(next);
  }
  const [before, rest] = groups.filter(isLayers).slice(-2);
  if (before !== undefined && rest !== undefined && rest.size < least) {
    join(before, rest);
    groups.splice(groups.indexOf(rest), 1);
  }
  return groups;
}

/** Equal buckets, as many as have the least parameters each. */
function cut({ begin, size }: Bucket, { bucketParameters, size: ranks }: RankShare, alignment: number): Bucket[] {
  const grain = alignment * ranks;
  const count = Math.max(1, Math.floor(size / bucketParameters));
  const each = Math.ceil(size / count / grain) * grain;
  return Array.from({ length: Math.ceil(size / each) }, (_, index) => {
    const at = index * each;
    return { begin: begin + at, size: Math.min(each, size - at) };
  });
}

/**
 * Places for the gradients of groups while they are computed and sent, and their size in all. Groups of layers take turns
 * at two, the head and the embedding at one: a place is free when the gradient before has been sent.
 */
function stagedPlaces(groups: readonly Range[]): [number[], number] {
  const kinds = groups.map(({ parts: [part] }, index) => (typeof part === "number" ? index % 2 : part));
  const turns = (kind: Part) => (kind === "head" ? "embedding" : kind);
  const sizes = new Map<Part, number>();
  kinds.forEach((kind, index) => {
    sizes.set(turns(kind), Math.max(sizes.get(turns(kind)) ?? 0, groups[index]!.size));
  });
  const places = new Map<Part, number>();
  let size = 0;
  for (const [kind, each] of sizes) {
    places.set(kind, size);
    size += each;
  }
  return [kinds.map((kind) => places.get(turns(kind))!), size];
}

/** A rank's part of so many things in a row: about as many for each, perhaps none. */
export function ownRange(
  count: number,
  { rank, size }: Pick<RankShare, "rank" | "size">,
): { readonly begin: number; readonly end: number } {
  return { begin: Math.floor((rank * count) / size), end: Math.floor(((rank + 1) * count) / size) };
}

/** Elements with padding behind them, so that all buckets can be cut into equal, aligned parts; for one rank as they are. */
export function paddedSize(elements: number, ranks: number, alignment: number): number {
  if (ranks === 1) return elements;
  return Math.ceil(elements / (alignment * ranks)) * alignment * ranks;
}
