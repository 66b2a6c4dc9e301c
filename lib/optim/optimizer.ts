/** The optimizer of a run, of either type: how a step is prepared, and what a checkpoint keeps of it. */
import type { OptimizerConfig } from "../config/config.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import type { Device, Tensor } from "../native.js";
import type { SpecTree } from "../nn/buffers.js";
import type { ParameterLayout, Parameters, Slot } from "../nn/parameters.js";
import type { Sharding } from "../nn/sharding.js";
import { AdamW, adamwSpecs } from "./adamw.js";
import { Frozen } from "./frozen.js";
import { Muon, muonSpecs } from "./muon.js";
import { hiddenRange, isHidden, muonFlops } from "./muon_layout.js";

export type Optimizer = AdamW | Muon;

/** What decides which optimizer a run has, and on which parameters. */
export type OptimizerKind = Pick<OptimizerConfig, "type" | "freeze">;

/** @throws OutOfMemoryError */
export function createOptimizer(parameters: Parameters, { type, freeze = [] }: OptimizerKind): Optimizer {
  return type === "muon" ? new Muon(parameters, { freeze }) : new AdamW(parameters, { freeze });
}

/** FLOPs of the matrix products of a step; AdamW has none. What either does to single elements is not counted. */
export function optimizerFlops(config: LlamaConfig, { muon, freeze }: OptimizerConfig): number {
  return muon === undefined ? 0 : muonFlops(config, muon.nsSteps, freeze);
}

/** What an optimizer allocates: the gradient, its state, and the rest. */
export function optimizerMemory(
  device: Device,
  layout: ParameterLayout,
  sharding: Sharding,
  dtype: "f32" | "bf16",
  { type, freeze = [] }: OptimizerKind,
): Record<"gradient" | "state" | "rest", SpecTree> {
  const frozen = new Frozen(layout, freeze);
  if (type === "muon") {
    const { gradient, momentum, firstMoment, secondMoment, ...rest } = muonSpecs(device, layout, dtype, frozen);
    return { gradient, state: { momentum, firstMoment, secondMoment }, rest };
  }
  const { gradient, firstMoment, secondMoment, ...rest } = adamwSpecs(device, layout, sharding, frozen);
  return { gradient, state: { firstMoment, secondMoment }, rest };
}

/**
 * Writes to the device what differs from one step to the next.
 * @param learningRate optimizer.lr as the schedule has scaled it; Muon's own rate is scaled alike
 */
export function prepareStep(optimizer: Optimizer, learningRate: number, settings: OptimizerConfig): void {
  if (optimizer instanceof AdamW) {
    optimizer.prepareStep(learningRate, settings);
  } else {
    const muon = settings.muon!;
    optimizer.prepareStep({ adamw: learningRate, muon: muon.lr * (learningRate / settings.lr) }, { ...settings, muon });
  }
}

/** A tensor that an optimizer keeps, with the elements of some or all parameters. */
export interface OptimizerState {
  /** PyTorch's name for it. */
  readonly name: "exp_avg" | "exp_avg_sq" | "momentum_buffer";
  readonly flat: Tensor<"f32">;
  /** Where a parameter's elements begin in it; null: it has none there. */
  readonly offset: (parameter: Slot) => number | null;
}

/** All that an optimizer keeps from step to step, but for the number of its steps. */
export function optimizerStates(optimizer: Optimizer, layout: ParameterLayout): OptimizerState[] {
  const { firstMoment, secondMoment } = optimizer;
  if (optimizer instanceof AdamW) {
    const offset = (slot: Slot) => slot.offset;
    return [
      { name: "exp_avg", flat: firstMoment, offset },
      { name: "exp_avg_sq", flat: secondMoment, offset },
    ];
  }
  const hidden = hiddenRange(layout);
  const ofMatrices = (slot: Slot) => (isHidden(slot) ? slot.offset - hidden.begin : null);
  const ofOthers = (slot: Slot) => {
    if (isHidden(slot)) return null;
    return slot.offset < hidden.begin ? slot.offset : slot.offset - hidden.size;
  };
  return [
    { name: "momentum_buffer", flat: optimizer.momentum, offset: ofMatrices },
    { name: "exp_avg", flat: firstMoment, offset: ofOthers },
    { name: "exp_avg_sq", flat: secondMoment, offset: ofOthers },
  ];
}
