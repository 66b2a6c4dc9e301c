/** Muon's step for matrices of one shape, one of several layers at once. */
import { adjustedLrRatio } from "../config/adjust_lr.js";
import { type BackendName, type Device, native, type Tensor } from "../native.js";
import { type Allocated, Spec } from "../nn/buffers.js";
import type { ParameterLayout } from "../nn/parameters.js";
import { type MatrixStack, matrixStacks } from "./muon_layout.js";
import type { MuonSettings } from "./muon_settings.js";
import { type NewtonSchulzMemory, newtonSchulz, newtonSchulzSpecs } from "./newton_schulz.js";

/**
 * Elements of the matrices of a stack: enough to keep the device busy with their products, and few enough that the
 * iteration's memory is small beside the model's.
 */
const stackElements: Readonly<Record<BackendName, number>> = { cpu: 2 ** 20, simt: 2 ** 16, cuda: 2 ** 24 };

/** The layers that are taken at once: `count` from `first` on, and so on, without those whose matrix is not wanted. */
export function stackSizes(
  backend: BackendName,
  stack: MatrixStack,
  wanted: (name: string) => boolean = () => true,
): { first: number; count: number }[] {
  const most = atOnce(backend, stack);
  const sizes: { first: number; count: number }[] = [];
  for (let layer = 0; layer < stack.layers; layer++) {
    if (!wanted(stack.nameOf(layer))) continue;
    const last = sizes.at(-1);
    if (last !== undefined && last.first + last.count === layer && last.count < most) last.count++;
    else sizes.push({ first: layer, count: 1 });
  }
  return sizes;
}

function atOnce(backend: BackendName, { rows, columns, layers }: MatrixStack): number {
  return Math.min(layers, Math.max(1, Math.floor(stackElements[backend] / (rows * columns))));
}

/** The memory that the steps of all stacks use in turn. */
export function muonStackSpecs(device: Device, layout: ParameterLayout, dtype: "f32" | "bf16") {
  const needs = matrixStacks(layout).map((stack) => {
    const count = atOnce(device.backend, stack);
    const elements = stack.rows * stack.columns;
    return {
      elements: count * elements,
      gram: count * Math.min(stack.rows, stack.columns) ** 2,
      sums: native.muonMomentumWorkspace(device, count, elements),
    };
  });
  const most = (key: "elements" | "gram" | "sums") => Math.max(...needs.map((need) => need[key]));
  return { ...newtonSchulzSpecs(dtype, most("elements"), most("gram")), sums: new Spec("f32", [most("sums")]) };
}

/** Tensors of a stack's step. */
interface StackTensors {
  /** dt and f32 [count, rows * columns], strided. */
  readonly param: Tensor;
  readonly master: Tensor<"f32">;
  readonly momentum: Tensor<"f32">;
  readonly gradient: Tensor<"f32">;
  readonly norm: Tensor<"f32">;
  readonly hyper: Tensor<"f32">;
}

/** The step of a stack of matrices. */
export class MuonStack {
  readonly #iteration: NewtonSchulzMemory;
  readonly #sums: Tensor<"f32">;

  constructor(
    private readonly tensors: StackTensors,
    private readonly shape: { readonly rows: number; readonly columns: number },
    memory: Allocated<ReturnType<typeof muonStackSpecs>>,
  ) {
    const [count] = tensors.master.shape;
    const { rows, columns } = shape;
    const least = Math.min(rows, columns);
    const part = (tensor: Tensor, sizes: readonly [number, number, number]) =>
      tensor.narrow(0, 0, sizes[0] * sizes[1] * sizes[2]).reshape(sizes);
    this.#iteration = {
      x: part(memory.x, [count!, rows, columns]),
      next: part(memory.next, [count!, rows, columns]),
      gram: part(memory.gram, [count!, least, least]),
      polynomial: part(memory.polynomial, [count!, least, least]),
    };
    this.#sums = memory.sums;
  }

  /** Enqueues the update of the matrices. */
  apply({ nesterov, nsSteps, adjustLr }: MuonSettings["muon"]): void {
    const { param, master, momentum, gradient, norm, hyper } = this.tensors;
    const { rows, columns } = this.shape;
    const rowOfEach = (matrices: Tensor) => matrices.reshape([matrices.shape[0]!, rows * columns]);
    native.muonMomentum(rowOfEach(this.#iteration.x), momentum, gradient, norm, hyper, this.#sums, nesterov);
    const update = newtonSchulz(this.#iteration, nsSteps);
    native.muonUpdate(param, master, rowOfEach(update), norm, hyper, adjustedLrRatio(adjustLr, rows, columns));
  }
}
