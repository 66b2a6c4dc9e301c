/** What a checkpoint is written from, and read into. */
import type { Tensor } from "../native.js";
import { deviceElements, type FlatElements } from "../nn/parameter_transfer.js";
import type { Parameters } from "../nn/parameters.js";
import type { AdamW } from "../optim/adamw.js";

/** The flat tensors that a checkpoint is written from, each of `parameters.layout`. */
export interface FlatTensors {
  /** The model's weights, in the run's precision; may be the master weights themselves. */
  readonly compute: Tensor;
  /** What training goes on from, by the name of its file in `trainer/`. */
  readonly trainer: Readonly<Record<string, Tensor<"f32">>>;
}

/** Those of a run, on its device. */
export function flatTensors(parameters: Parameters, optimizer: AdamW): FlatTensors {
  const { master, compute } = parameters;
  return { compute, trainer: { master, exp_avg: optimizer.firstMoment, exp_avg_sq: optimizer.secondMoment } };
}

/** What a checkpoint is written from: a copy, or the tensors themselves. */
export interface CheckpointSource {
  /** The model's weights, in the run's precision. */
  readonly compute: FlatElements;
  /** What training goes on from, by the name of its file in `trainer/`. */
  readonly trainer: Readonly<Record<string, FlatElements>>;
}

/** The tensors themselves, which must not change before they are written. */
export function uncopied({ compute, trainer }: FlatTensors): CheckpointSource {
  const all = Object.entries(trainer).map(([name, tensor]) => [name, deviceElements(tensor)] as const);
  return { compute: deviceElements(compute), trainer: Object.fromEntries(all) };
}
