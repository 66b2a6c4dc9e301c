import { Arguments, describe } from "../arguments.js";
import { normWeightOffset } from "../hf/architectures.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { type Parameter, parameterTable } from "../hf/names.js";
import { type Device, native, type Tensor } from "../native.js";
import { nearestKey } from "../nearest.js";
import { type Allocated, allocate, disposeAll, Spec } from "./buffers.js";
import { alone, type Bucket, type Part, paddedSize, type RankShare, Sharding, type Unit } from "./sharding.js";

/** Elements to which the start of every parameter (or fused group) is aligned: 128 bytes in bf16. */
const parameterAlignment = 64;

/** A parameter's place in the flat tensors. */
export interface Slot extends Parameter {
  readonly offset: number;
  readonly size: number;
  /**
   * Its place without the padding for several ranks: initial weights do not depend on their number.
   * @internal
   */
  readonly seedOffset: number;
}

/** The order of all parameters in one flat tensor: matrices, which are decayed, before vectors, which are not. */
export interface ParameterLayout {
  readonly slots: readonly Slot[];
  /**
   * The ranges of parts whose gradients are complete at once, in their order; together they have all elements.
   * @internal
   */
  readonly units: readonly Unit[];
  /** Elements of the flat tensors, padding included. */
  readonly size: number;
  /** How many elements, from the first, hold the matrices. */
  readonly decayed: number;
}

/**
 * Lays the parameters out so that q, k, v (and gate, up) of a layer are adjacent: each group is then one matrix and
 * needs one product. Every unit is padded for as many ranks; the order does not depend on their number.
 */
export function parameterLayout(config: LlamaConfig, ranks = 1): ParameterLayout {
  const table = parameterTable(config);
  const ordered = [...table.filter((p) => p.kind === "matrix"), ...table.filter((p) => p.kind === "vector")];
  const joinsPrevious = (name: string) => /\.(k_proj|v_proj|up_proj)\.(weight|bias)$/.test(name);
  const begins: { readonly part: Part; readonly begin: number }[] = [];
  let size = 0;
  let unpadded = 0;
  let decayed = 0;
  const slots = ordered.map((parameter) => {
    if (!joinsPrevious(parameter.name)) {
      size = paddedTo(size, parameterAlignment);
      unpadded = paddedTo(unpadded, parameterAlignment);
    }
    const part = partOf(parameter);
    if (part !== begins.at(-1)?.part) {
      size = paddedTo(size, parameterAlignment * ranks);
      begins.push({ part, begin: size });
    }
    const elements = parameter.shape.reduce((a, b) => a * b, 1);
    const slot = { ...parameter, offset: size, size: elements, seedOffset: unpadded };
    size += slot.size;
    unpadded += slot.size;
    if (parameter.kind === "matrix") decayed = size;
    return slot;
  });
  size = paddedSize(size, ranks, parameterAlignment);
  const units = begins.map((unit, index) => ({ ...unit, size: (begins[index + 1]?.begin ?? size) - unit.begin }));
  return { slots, units, size, decayed };
}

const paddedTo = (size: number, alignment: number): number => Math.ceil(size / alignment) * alignment;

function partOf({ name, kind }: Parameter): Part {
  if (kind === "vector") return "vectors";
  const layer = /^model\.layers\.(\d+)\./.exec(name)?.[1];
  if (layer !== undefined) return Number(layer);
  return name === "lm_head.weight" ? "head" : "embedding";
}

/** What is expected in place of a name that no parameter has: "a parameter's name, such as lm_head.weight". */
function aParameter(name: string, { slots }: ParameterLayout): string {
  const names = slots.map((slot) => slot.name);
  return `a parameter's name, such as ${nearestKey(name, names) ?? names[0]}`;
}

/** How flat tensors of a layout are split. */
export function shardingOf(layout: ParameterLayout, share: RankShare): Sharding {
  return new Sharding(share, layout.units, parameterAlignment);
}

/** Specs of the flat tensors. In f32 the compute copy is the master; in bf16 a rank of several keeps a part of it. */
export function parameterSpecs(layout: ParameterLayout, dtype: "f32" | "bf16", ranks = 1) {
  return {
    master: new Spec("f32", [dtype === "f32" ? layout.size : layout.size / ranks]),
    compute: dtype === "f32" ? null : new Spec(dtype, [layout.size]),
  };
}

/**
 * A model's parameters: one flat fp32 master, and one flat copy in the compute dtype, of which the layers' weights
 * are views.
 */
export class Parameters {
  readonly layout: ParameterLayout;
  readonly dtype: "f32" | "bf16";
  /** How they are split over ranks; one rank has them all. */
  readonly sharding: Sharding;
  /** dt [layout.size]; the same tensor as `master` in f32. */
  readonly compute: Tensor;
  #owned: Allocated<ReturnType<typeof parameterSpecs>>;
  readonly #slots: Map<string, Slot>;

  constructor(
    readonly config: LlamaConfig,
    readonly device: Device,
    dtype: "f32" | "bf16",
    share: RankShare = alone,
  ) {
    this.layout = parameterLayout(config, share.size);
    this.sharding = shardingOf(this.layout, share);
    this.dtype = dtype;
    this.#owned = allocate(device, parameterSpecs(this.layout, dtype));
    this.compute = this.#owned.compute ?? this.master;
    this.#slots = new Map(this.layout.slots.map((slot) => [slot.name, slot]));
    native.fill(this.master, 0); // the padding must hold zeros: it takes part in the flat optimizer step
  }

  /** Hugging Face's initialisation: matrices from N(0, initializer_range^2), norms multiply by 1, biases 0. */
  initialize(seed: number): void {
    const norm = 1 - normWeightOffset(this.config);
    for (const slot of this.layout.slots) {
      const target = this.view(this.master, slot.name);
      if (slot.kind === "matrix") native.normal(target, this.config.initializer_range, seed, slot.seedOffset);
      else native.fill(target, slot.name.endsWith(".bias") ? 0 : norm);
    }
    this.refreshCompute();
  }

  /** f32 [layout.size]; after `keepOwn` of one of several ranks in bf16, [layout.size / ranks]: its own parts alone. */
  get master(): Tensor<"f32"> {
    return this.#owned.master;
  }

  /** This rank's part of a bucket of the masters. */
  ownMaster(bucket: Bucket): Tensor<"f32"> {
    return this.master.size === this.layout.size
      ? this.sharding.own(this.master, bucket)
      : this.sharding.kept(this.master, bucket);
  }

  /** Frees the masters that belong to other ranks, once all have been written. In f32 they are the weights, and stay. */
  keepOwn(): void {
    const { master, compute } = this.#owned;
    if (!this.sharding.shared || compute === null) return;
    const { device, layout, sharding } = this;
    const kept = allocate(device, parameterSpecs(layout, this.dtype, sharding.share.size).master);
    sharding.keep(kept, master);
    this.#owned = { master: kept, compute };
    master.free();
  }

  /** Rounds the master into the compute copy. Call it after writing the master. */
  refreshCompute(): void {
    if (this.compute !== this.master) native.copy(this.compute, this.master);
  }

  /** @throws RangeError that names the nearest parameter, if there is none of this name */
  slot(name: string): Slot {
    return this.named(new Arguments("Parameters.slot"), name);
  }

  /**
   * As `slot`, of an argument `name` of another function.
   * @internal
   */
  named(check: Arguments, name: string): Slot {
    const slot = this.#slots.get(check.string("name", name));
    return slot ?? check.fail(RangeError, "name", `${aParameter(name, this.layout)},`, describe(name));
  }

  /** The part of a flat tensor that belongs to a parameter, or to the neighbours `name` to `last`, in its shape. */
  view<T extends Tensor>(flat: T, name: string, last = name): T {
    const { offset, size, shape } = this.placeOf(name, last);
    return flat.narrow(0, offset, size).reshape(shape) as T;
  }

  /**
   * Where a parameter, or the neighbours `name` to `last`, is in the flat tensors, and its shape.
   * @internal
   */
  placeOf(name: string, last = name): Pick<Slot, "offset" | "size" | "shape"> {
    const first = this.slot(name);
    const end = this.slot(last);
    const size = end.offset + end.size - first.offset;
    const rest = first.shape.slice(1);
    return { offset: first.offset, size, shape: [size / rest.reduce((a, b) => a * b, 1), ...rest] };
  }

  /** The part of a flat tensor that belongs to a parameter, flat. */
  flatView<T extends Tensor>(flat: T, { offset, size }: Slot): T {
    return flat.narrow(0, offset, size) as T;
  }

  /** Frees the memory and all views of it. */
  dispose(): void {
    disposeAll(this.#owned);
  }
}
