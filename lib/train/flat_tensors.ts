/** What a checkpoint is written from, and read into. */
import { native, type Tensor } from "../native.js";
import { deviceElements, type FlatElements } from "../nn/parameter_transfer.js";
import type { Parameters } from "../nn/parameters.js";
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
  /**
   * The whole of one of them, until it is called again: itself, or gathered from all ranks, which call it for the same one.
   */
  readonly whole: (flat: Tensor) => Tensor;
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
    whole(flat) {
      if (!isPart(flat)) return flat;
      for (const bucket of sharding.buckets) {
        native.allGather(sharding.whole(gradient, bucket), sharding.kept(flat, bucket));
      }
      return gradient;
    },
  };
}

/** Gives this rank's parts to the one that writes, in the order in which that reads them. */
export function gather({ trainer, whole }: FlatTensors): void {
  for (const { flat } of Object.values(trainer)) whole(flat);
}

/** What a checkpoint is written from: a copy, or the tensors themselves. */
export interface CheckpointSource {
  /** The model's weights, in the run's precision, of `parameters.layout`. */
  readonly compute: FlatElements;
  /** What training goes on from, by the name of its file in `trainer/`. */
  readonly trainer: Readonly<Record<string, Placed<FlatElements>>>;
}

/** The tensors themselves, which must not change before they are written; gathered ones are read one after another. */
export function uncopied(tensors: FlatTensors): CheckpointSource {
  let last: { readonly flat: Tensor; readonly elements: FlatElements } | null = null;
  return sourceOf(tensors, (flat) => ({
    dtype: flat.dtype as "f32" | "bf16",
    pieces(offset, count) {
      if (last?.flat !== flat) last = { flat, elements: deviceElements(tensors.whole(flat)) };
      return last.elements.pieces(offset, count);
    },
  }));
}

/** What is at the place of each tensor. */
export function sourceOf({ compute, trainer }: FlatTensors, of: (flat: Tensor) => FlatElements): CheckpointSource {
  const all = Object.entries(trainer).map(([name, { flat, offset }]) => [name, { flat: of(flat), offset }] as const);
  return { compute: of(compute), trainer: Object.fromEntries(all) };
}
