/** What a checkpoint is written from, and read into. */
import type { Tensor } from "../native.js";
import { deviceElements, type FlatElements } from "../nn/parameter_transfer.js";
import type { Parameters } from "../nn/parameters.js";
import { type Optimizer, type OptimizerState, optimizerStates } from "../optim/optimizer.js";

/** Something flat with the elements of some or all parameters. */
export interface Placed<T> extends Pick<OptimizerState, "offset"> {
  readonly flat: T;
}

/** The flat tensors that a checkpoint is written from. */
export interface FlatTensors {
  /** The model's weights, in the run's precision, of `parameters.layout`; may be the master weights themselves. */
  readonly compute: Tensor;
  /** What training goes on from, by the name of its file in `trainer/`. */
  readonly trainer: Readonly<Record<string, Placed<Tensor<"f32">>>>;
}

/** Those of a run, on its device. */
export function flatTensors(parameters: Parameters, optimizer: Optimizer): FlatTensors {
  const { master, compute, layout } = parameters;
  const states = optimizerStates(optimizer, layout).map(({ name, ...state }) => [name, state] as const);
  return {
    compute,
    trainer: { master: { flat: master, offset: (slot) => slot.offset }, ...Object.fromEntries(states) },
  };
}

/** What a checkpoint is written from: a copy, or the tensors themselves. */
export interface CheckpointSource {
  /** The model's weights, in the run's precision, of `parameters.layout`. */
  readonly compute: FlatElements;
  /** What training goes on from, by the name of its file in `trainer/`. */
  readonly trainer: Readonly<Record<string, Placed<FlatElements>>>;
}

/** The tensors themselves, which must not change before they are written. */
export function uncopied(tensors: FlatTensors): CheckpointSource {
  return sourceOf(tensors, deviceElements);
}

/** What is at the place of each tensor. */
export function sourceOf({ compute, trainer }: FlatTensors, of: (flat: Tensor) => FlatElements): CheckpointSource {
  const all = Object.entries(trainer).map(([name, { flat, offset }]) => [name, { flat: of(flat), offset }] as const);
  return { compute: of(compute), trainer: Object.fromEntries(all) };
}
