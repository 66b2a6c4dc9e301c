/**
 * Memory is declared before it is allocated: a module returns a tree of `Spec`s of the tensors it needs, the plan adds
 * up the trees, and `allocate` turns them into the same tree of tensors. The printed plan is what is allocated.
 */
import { bytesOf } from "../device.js";
import { type Device, type DType, Tensor } from "../native.js";

/** A tensor to allocate: its dtype and shape. */
export class Spec<D extends DType = DType> {
  constructor(
    readonly dtype: D,
    readonly shape: readonly number[],
  ) {}

  get bytes(): number {
    return this.shape.reduce((product, size) => product * size, bytesOf(this.dtype));
  }
}

export type SpecTree = Spec | null | readonly SpecTree[] | { readonly [key: string]: SpecTree };

/** The tensors of a tree of specs. */
export type Allocated<S> =
  S extends Spec<infer D> ? Tensor<D> : S extends null ? null : { readonly [K in keyof S]: Allocated<S[K]> };

/** Allocates all tensors of a tree, or none. @throws OutOfMemoryError */
export function allocate<S extends SpecTree>(device: Device, specs: S): Allocated<S> {
  const taken: Tensor[] = [];
  try {
    return map(specs, (spec) => {
      const tensor = new Tensor(device, spec.dtype, spec.shape);
      taken.push(tensor);
      return tensor;
    }) as Allocated<S>;
  } catch (error) {
    disposeAll(taken);
    throw error;
  }
}

/** A tree of which some leaves are null. */
export type Part<S> = S extends Spec ? S | null : S extends null ? null : { readonly [K in keyof S]: Part<S[K]> };

/** The tree with null for every spec whose name is not chosen. */
export function select<S extends SpecTree>(specs: S, chosen: (name: string) => boolean): Part<S> {
  return map(specs, (spec, path) => (chosen(path.at(-1)!) ? spec : null)) as Part<S>;
}

/** One tree of two parts: the first one's tensors, and the second's where the first has none. */
export function overlay<S>(first: Allocated<Part<S>>, second: Allocated<Part<S>>): Allocated<S> {
  const join = (a: unknown, b: unknown): unknown => {
    if (a === null) return b;
    if (a instanceof Tensor) return a;
    const other = b as Record<string, unknown>;
    return Object.fromEntries(Object.entries(a as object).map(([key, child]) => [key, join(child, other[key])]));
  };
  return join(first, second) as Allocated<S>;
}

/** A smaller tree over the memory of a larger one of the same structure: each tensor uses the first elements. */
export function reuse<S extends SpecTree>(tensors: unknown, specs: S): Allocated<S> {
  return map(specs, (spec, path) => {
    const tensor = path.reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], tensors) as Tensor;
    const size = spec.bytes / bytesOf(spec.dtype);
    return tensor.reshape([tensor.size]).narrow(0, 0, size).reshape(spec.shape);
  }) as Allocated<S>;
}

/** Bytes of all tensors of a tree. */
export function planBytes(specs: SpecTree): number {
  let bytes = 0;
  map(specs, (spec) => (bytes += spec.bytes));
  return bytes;
}

/** Frees all tensors of an allocated tree and the views of them. */
export function disposeAll(tensors: unknown): void {
  if (tensors instanceof Tensor) tensors.free();
  else if (typeof tensors === "object" && tensors !== null) Object.values(tensors).forEach(disposeAll);
}

function map(
  specs: SpecTree,
  visit: (spec: Spec, path: readonly string[]) => unknown,
  path: readonly string[] = [],
): unknown {
  if (specs === null) return null;
  if (specs instanceof Spec) return visit(specs, path);
  if (Array.isArray(specs)) return specs.map((child: SpecTree, i) => map(child, visit, [...path, String(i)]));
  const entries = Object.entries(specs) as [string, SpecTree][];
  return Object.fromEntries(entries.map(([key, child]) => [key, map(child, visit, [...path, key])]));
}
