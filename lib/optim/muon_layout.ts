/** Which parameters Muon updates, and where they lie in the flat tensors. */
import { frozenNames } from "../config/freeze.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { type Parameter, parameterTable } from "../hf/names.js";
import type { Tensor } from "../native.js";
import type { ParameterLayout } from "../nn/parameters.js";

/** Whether Muon updates a parameter: it is a matrix of a layer. Embedding, head and vectors are AdamW's. */
export function isHidden({ name, kind }: Parameter): boolean {
  return kind === "matrix" && name.startsWith("model.layers.");
}

/** The part of the flat tensors that holds the layers' matrices, with the padding behind each. */
export interface HiddenRange {
  readonly begin: number;
  readonly size: number;
}

export function hiddenRange({ slots }: ParameterLayout): HiddenRange {
  const first = slots.findIndex(isHidden);
  const { offset: begin } = slots[first]!;
  const next = slots.slice(first).find((slot) => !isHidden(slot))!; // the last norm, if not the head
  return { begin, size: next.offset - begin };
}

/** The matrices of one kind, one a layer: they have one shape, and lie one layer apart. */
export interface MatrixStack {
  /** [rows, columns] of each, as Hugging Face has it. */
  readonly rows: number;
  readonly columns: number;
  readonly layers: number;
  /** The name of a layer's. */
  readonly nameOf: (layer: number) => string;
  /** The first one's place behind the beginning of the hidden range. */
  readonly offset: number;
}

export function matrixStacks(layout: ParameterLayout): MatrixStack[] {
  const { begin } = hiddenRange(layout);
  const hidden = layout.slots.filter(isHidden);
  const ofFirst = hidden.filter(({ name }) => name.startsWith("model.layers.0."));
  return ofFirst.map(({ name, shape: [rows, columns], offset }) => ({
    rows: rows!,
    columns: columns!,
    layers: hidden.length / ofFirst.length,
    nameOf: (layer) => name.replace(".0.", `.${layer}.`),
    offset: offset - begin,
  }));
}

/**
 * f [count, rows * columns], strided: the matrices of a stack from layer `first` on.
 * @param hidden the hidden range of a flat tensor
 */
export function stackView<T extends Tensor>(hidden: T, stack: MatrixStack, first: number, count: number): T {
  const { rows, columns, layers, offset } = stack;
  // The range holds as much of each layer, as every layer begins at an aligned place and has the same matrices.
  const byLayer = hidden.reshape([layers, hidden.size / layers]);
  return byLayer.narrow(0, first, count).narrow(1, offset, rows * columns) as T;
}

/** FLOPs of the products of a Muon step: `nsSteps` times three for each matrix that is not frozen. */
export function muonFlops(config: LlamaConfig, nsSteps: number, freeze: readonly string[] = []): number {
  const table = parameterTable(config);
  const frozen = frozenNames(
    freeze,
    table.map(({ name }) => name),
  );
  return table
    .filter((parameter) => isHidden(parameter) && !frozen.has(parameter.name))
    .reduce((sum, { shape: [rows, columns] }) => {
      const [least, most] = [Math.min(rows!, columns!), Math.max(rows!, columns!)];
      return sum + nsSteps * (4 * least ** 2 * most + 2 * least ** 3);
    }, 0);
}
