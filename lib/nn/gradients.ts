/** Where a step's gradients are: of all parameters at once or, with ZeRO-2, of a few groups and the sum of the own part. */
import { native, type Tensor } from "../native.js";
import { type Allocated, Spec } from "./buffers.js";
import type { ParameterLayout } from "./parameters.js";
import type { Bucket, Group, Sharding } from "./sharding.js";

export function gradientSpecs({ size }: ParameterLayout, { share, shared, stagedSize }: Sharding) {
  const staged = shared && share.zero === 2;
  return {
    /** Of all parameters, or the places of the groups that are computed and sent. */
    flat: new Spec("f32", [staged ? stagedSize : size]),
    /** The sums of the rank's own parts, if they are kept apart. */
    own: staged ? new Spec("f32", [size / share.size]) : null,
  };
}

/** The gradient of the elements from `begin` on, all of one unit: f32 [size]. */
export type GradientOf = (begin: number, size: number) => Tensor<"f32">;

export class Gradients {
  constructor(
    private readonly tensors: Allocated<ReturnType<typeof gradientSpecs>>,
    private readonly sharding: Sharding,
  ) {}

  /** Memory that is free between steps, at least of the size of a group. */
  get flat(): Tensor<"f32"> {
    return this.tensors.flat;
  }

  /** Whether groups share places, so that each has to be sent before the next is computed. */
  get staged(): boolean {
    return this.tensors.own !== null;
  }

  readonly of: GradientOf = (begin, size) => {
    const { flat } = this.tensors;
    if (!this.staged) return flat.narrow(0, begin, size);
    const group = this.sharding.groups.find((each) => begin >= each.begin && begin < each.begin + each.size)!;
    return flat.narrow(0, group.staged + begin - group.begin, size);
  };

  /** A bucket or a group, before it is summed over the ranks. */
  whole({ begin, size }: Bucket): Tensor<"f32"> {
    return this.of(begin, size);
  }

  /** This rank's part of a bucket, summed over the ranks. */
  own(bucket: Bucket): Tensor<"f32"> {
    const { flat, own } = this.tensors;
    return own === null ? this.sharding.own(flat, bucket) : this.sharding.kept(own, bucket);
  }

  /** Puts this rank's sum of the micro-batches before into a group's place, so that the next is added to it. */
  carryOn(group: Group): void {
    native.fill(this.whole(group), 0);
    for (const bucket of group.buckets) {
      const { size } = this.own(bucket);
      native.copy(this.of(bucket.begin + this.sharding.share.rank * size, size), this.own(bucket));
    }
  }

  /** Sets all to zeros. */
  zero(): void {
    for (const tensor of [this.tensors.flat, this.tensors.own]) if (tensor !== null) native.fill(tensor, 0);
  }
}
