/** The optimizer of a run, of either type: how a step is prepared, and what a checkpoint keeps of it. */
import type { OptimizerConfig } from "../config/config.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import type { Device, Tensor } from "../native.js";
import type { SpecTree } from "../nn/buffers.js";
import type { ParameterLayout, Parameters, Slot } from "../nn/parameters.js";
import { AdamW, adamwSpecs } from "./adamw.js";
import { Muon, muonSpecs } from "./muon.js";
import { hiddenRange, isHidden, muonFlops } from "./muon_layout.js";

export type Optimizer = AdamW | Muon;
type OptimizerType = OptimizerConfig["type"];

/** @throws OutOfMemoryError */
export function createOptimizer(parameters: Parameters, type: OptimizerType): Optimizer {
  return type === "muon" ? new Muon(parameters) : new AdamW(parameters);
}

/** FLOPs of the matrix products of a step; AdamW has none. What either does to single elements is not counted. */
export function optimizerFlops(config: LlamaConfig, { muon }: OptimizerConfig): number {
  return muon === undefined ? 0 : muonFlops(config, muon.nsSteps);
}

/** What an optimizer allocates: the gradient, its state, and the rest. */
export function optimizerMemory(
  device: Device,
  layout: ParameterLayout,
  dtype: "f32" | "bf16",
  type: OptimizerType,
): Record<"gradient" | "state" | "rest", SpecTree> {
  if (type === "muon") {
    const { gradient, momentum, firstMoment, secondMoment, ...rest } = muonSpecs(device, layout, dtype);
    return { gradient, state: { momentum, firstMoment, secondMoment }, rest };
  }
  const { gradient, firstMoment, secondMoment, ...rest } = adamwSpecs(device, layout);
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

/** A tensor that an optimizer keeps for each of some parameters. */
export interface OptimizerState {
  /** PyTorch's name for it. */
  readonly name: "exp_avg" | "exp_avg_sq" | "momentum_buffer";
  readonly has: (parameter: Slot) => boolean;
  /** f32, flat: a parameter's. */
  readonly of: (parameter: Slot) => Tensor<"f32">;
}

/** All that an optimizer keeps from step to step, but for the number of its steps. */
export function optimizerStates(optimizer: Optimizer, layout: ParameterLayout): OptimizerState[] {
  const { firstMoment, secondMoment } = optimizer;
  const all = () => true;
  if (optimizer instanceof AdamW) {
    const of = (flat: Tensor<"f32">) => (slot: Slot) => flat.narrow(0, slot.offset, slot.size);
    return [
      { name: "exp_avg", has: all, of: of(firstMoment) },
      { name: "exp_avg_sq", has: all, of: of(secondMoment) },
    ];
  }
  const hidden = hiddenRange(layout);
  const { momentum } = optimizer;
  const others = (flat: Tensor<"f32">) => (slot: Slot) =>
    flat.narrow(0, slot.offset < hidden.begin ? slot.offset : slot.offset - hidden.size, slot.size);
  return [
    { name: "momentum_buffer", has: isHidden, of: (slot) => momentum.narrow(0, slot.offset - hidden.begin, slot.size) },
    { name: "exp_avg", has: (slot) => !isHidden(slot), of: others(firstMoment) },
    { name: "exp_avg_sq", has: (slot) => !isHidden(slot), of: others(secondMoment) },
  ];
}
