/** What a checkpoint is written from, and read into. */
import { native, type Tensor } from "../native.js";
import { deviceElements, type FlatElements } from "../nn/parameter_transfer.js";
import type { Parameters } from "../nn/parameters.js";
import type { Bucket } from "../nn/sharding.js";
import { type Optimizer, type OptimizerState, optimizerStates } from "../optim/optimizer.js";

/** Something flat with the elements of some or all parameters. */
export interface Placed<T> extends Pick<OptimizerState, "offset"> {
  readonly flat: T;
}

/** The flat tensors that a checkpoint is written from. Of several ranks, those of `trainer` may be this one's parts. */
export interface FlatTensors {
  /** The model's weights, in the run's precision, of `parameters.layout`; may be the master weights themselves. */
  readonly compute: Tensor;
  /** What training goes on from, by the name of its file in `trainer/`. */
  readonly trainer: Readonly<Record<string, Placed<Tensor<"f32">>>>;
  /** Elements of a whole one of `trainer`. */
  readonly sizeOf: (flat: Tensor) => number;
  /** The ranges that a tensor is gathered in from all ranks; of one that is whole, all of it. */
  readonly rangesOf: (flat: Tensor) => readonly Bucket[];
  /** Such a range, whole: gathered into memory that the next one takes. All ranks call it for the same ones. */
  readonly whole: (flat: Tensor, range: Bucket) => Tensor;
}

/** Those of a run, on its device. */
export function flatTensors(parameters: Parameters, optimizer: Optimizer): FlatTensors {
  const { master, compute, layout, sharding } = parameters;
  const states = optimizerStates(optimizer, layout).map(({ name, ...state }) => [name, state] as const);
  const isPart = (flat: Tensor) => sharding.shared && flat.size < layout.size;
  // Between steps the gradient is not needed: what is gathered takes no memory of its own.
  const { gradient } = optimizer;
  return {
    compute,
    trainer: { master: { flat: master, offset: (slot) => slot.offset }, ...Object.fromEntries(states) },
    sizeOf: (flat) => (isPart(flat) ? layout.size : flat.size),
    rangesOf: (flat) => (isPart(flat) ? sharding.buckets : [{ begin: 0, size: flat.size }]),
    whole(flat, range) {
      if (!isPart(flat)) return flat;
      const whole = gradient.narrow(0, 0, range.size);
      native.allGather(whole, sharding.kept(flat, range), false);
      return whole;
    },
  };
}

/** What a checkpoint is written from: a copy, or the tensors themselves. */
export interface CheckpointSource {
  /** The model's weights, in the run's precision, of `parameters.layout`. */
  readonly compute: FlatElements;
  /** What training goes on from, by the name of its file in `trainer/`. */
  readonly trainer: Readonly<Record<string, Placed<FlatElements>>>;
}

/**
 * The tensors themselves, which must not change before they are written. Of several ranks each gathers what it comes by;
 * all go through it in the same order.
 */
export function uncopied(tensors: FlatTensors): CheckpointSource {
  return sourceOf(tensors, (flat) => {
    let last: { readonly range: Bucket; readonly elements: FlatElements } | null = null;
    return {
      dtype: flat.dtype as "f32" | "bf16",
      async *pieces(offset, count) {
        for (const range of tensors.rangesOf(flat)) {
          const begin = Math.max(offset, range.begin);
          const end = Math.min(offset + count, range.begin + range.size);
          if (begin >= end) continue;
          if (last?.range !== range) last = { range, elements: deviceElements(tensors.whole(flat, range)) };
          yield* last.elements.pieces(begin - range.begin, end - begin);
        }
      },
    };
  });
}

/** What is at the place of each tensor. */
export function sourceOf({ compute, trainer }: FlatTensors, of: (flat: Tensor) => FlatElements): CheckpointSource {
  const all = Object.entries(trainer).map(([name, { flat, offset }]) => [name, { flat: of(flat), offset }] as const);
  return { compute: of(compute), trainer: Object.fromEntries(all) };
}
