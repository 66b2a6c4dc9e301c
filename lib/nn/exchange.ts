/**
 * What a rank exchanges with the others in a step: the weights, gathered before the forward reads them, and the gradients,
 * summed when the backward has completed them, group by group. With overlap the device computes meanwhile, and waits where
 * it needs the result. All ranks enqueue the same in the same order.
 */
import { native } from "../native.js";
import type { Gradients } from "./gradients.js";
import type { Parameters } from "./parameters.js";
import type { Bucket, Group, Part } from "./sharding.js";
import type { TimedPart, Watch } from "./watch.js";

/** Ends the time of a part of a step on the device, which began where the last one ended. */
export type Lap = (part: TimedPart | "optimizer" | "communication") => void;

const noLap: Lap = () => undefined;

export class Exchange {
  /** Operations of the step so far, and how many of them the device's computing has waited for. */
  #begun = 0;
  #awaited = 0;
  /** The number of the operation after which a group's weights are whole. */
  readonly #gathered = new Map<Group, number>();
  /** The number of the last one that reads the gradients at a place. */
  readonly #sent = new Map<number, number>();
  /** The buckets whose gradients are summed, in their order, and the numbers of the operations. */
  readonly #summed = new Map<Bucket, number>();
  /** Groups whose gradients are being computed. */
  readonly #open = new Set<Group>();
  /** Elements that are no parameter's, by group. */
  readonly #padding: ReadonlyMap<Group, readonly Bucket[]>;
  #lap = noLap;

  constructor(
    private readonly parameters: Parameters,
    private readonly gradients: Gradients,
  ) {
    const { groups } = parameters.sharding;
    this.#padding = new Map(groups.map((group) => [group, paddingOf(group, parameters.layout.slots)]));
  }

  /** The beginning of a step: begins to gather all weights, in the order in which a forward reads them. */
  begin(lap: Lap): void {
    this.#lap = lap;
    this.#begun = 0;
    this.#awaited = 0;
    this.#sent.clear();
    const { sharding } = this.parameters;
    // The vectors are behind all matrices, but the first layer needs them.
    const vectors = sharding.groupOf("vectors");
    for (const group of [vectors, ...sharding.groups.filter((each) => each !== vectors)]) {
      for (const bucket of group.buckets) this.#run("optimizer", (beside) => this.#gather(bucket, beside));
      this.#gathered.set(group, this.#begun);
    }
  }

  /** Gathers all weights; to be called where they are read outside of a step. */
  gatherWeights(): void {
    for (const bucket of this.parameters.sharding.buckets) this.#gather(bucket, false);
  }

  #gather(bucket: Bucket, beside: boolean): void {
    const { sharding, compute } = this.parameters;
    native.allGather(sharding.whole(compute, bucket), sharding.own(compute, bucket), beside);
  }

  /** Watches the pass of a micro-batch, which is the step's first, last, both or neither. */
  watch(first: boolean, last: boolean): Watch {
    const { sharding } = this.parameters;
    if (first) this.#summed.clear();
    return {
      lap: this.#lap,
      reads: (part) => this.#await(this.#gathered.get(sharding.groupOf(part)), timed(part)),
      begins: (part) => {
        if (this.gradients.staged) this.#beginGradient(part, first);
      },
      completes: (part) => {
        const group = sharding.groupOf(part);
        // The backward comes to the first layer of a group last, and to a tied head before the embedding.
        if ((last || this.gradients.staged) && group.parts[0] === part) this.#reduce(group, timed(part));
      },
    };
  }

  /** Makes a group's place ready for its gradients of a micro-batch, when the first of its parts begins. */
  #beginGradient(part: Part, first: boolean): void {
    const group = this.parameters.sharding.groupOf(part);
    if (this.#open.has(group)) return;
    this.#open.add(group);
    this.#await(this.#sent.get(group.staged), timed(part));
    // Products write theirs; what else is there is added to, or of another group.
    const added = part === "vectors" || part === "embedding";
    if (!first) this.gradients.carryOn(group);
    else for (const range of added ? [group] : this.#padding.get(group)!) native.fill(this.gradients.whole(range), 0);
  }

  #reduce(group: Group, before: TimedPart): void {
    this.#open.delete(group);
    for (const bucket of group.buckets) {
      this.#run(before, (beside) => {
        native.reduceScatter(this.gradients.own(bucket), this.gradients.whole(bucket), beside);
      });
      this.#summed.set(bucket, this.#begun);
    }
    this.#sent.set(group.staged, this.#begun);
  }

  /** The buckets whose gradients have been summed in the step, each when the device has waited for it. */
  *summed(): Iterable<Bucket> {
    for (const [bucket, number] of this.#summed) {
      this.#await(number, "optimizer");
      yield bucket;
    }
  }

  /** An operation on all ranks whose result is needed at once, behind those of the optimizer. */
  wait(operation: () => void): void {
    this.#lap("optimizer");
    operation();
    this.#lap("communication");
  }

  #run(before: TimedPart | "optimizer", operation: (beside: boolean) => void): void {
    const { overlap } = this.parameters.sharding.share;
    if (!overlap) this.#lap(before);
    operation(overlap);
    this.#begun++;
    if (overlap) return;
    this.#awaited = this.#begun;
    this.#lap("communication");
  }

  #await(number: number | undefined, before: TimedPart | "optimizer"): void {
    if (number === undefined || number <= this.#awaited) return;
    this.#awaited = number;
    this.#lap(before);
    native.awaitRanks(this.parameters.device, this.#begun - number);
    this.#lap("communication");
  }
}

const timed = (part: Part): TimedPart => (part === "embedding" || part === "head" ? part : "transformer");

/** The ranges of a group that no slot has. */
function paddingOf(group: Group, slots: readonly { readonly offset: number; readonly size: number }[]): Bucket[] {
  const end = group.begin + group.size;
  const inside = slots.filter(({ offset }) => offset >= group.begin && offset < end);
  const ends = [group.begin, ...inside.map(({ offset, size }) => offset + size)];
  const begins = [...inside.map(({ offset }) => offset), end];
  return ends.map((begin, i) => ({ begin, size: begins[i]! - begin })).filter(({ size }) => size > 0);
}
