import type { ResolvedStage } from "../config/stages.js";
import type { Device } from "../native.js";
import { blockBatches, blocksPerPass } from "../nn/block_loss.js";
import { planBytes, Spec } from "../nn/buffers.js";
import { type ParameterLayout, parameterLayout, parameterSpecs, shardingOf } from "../nn/parameters.js";
import { type PassSpecs, passSpecs } from "../nn/pass_memory.js";
import type { Batch, PassShape } from "../nn/shape.js";
import { alone, type RankShare, type Sharding } from "../nn/sharding.js";
import { type OptimizerKind, optimizerMemory } from "../optim/optimizer.js";
import { microBatch, positionsPerPass } from "./micro_batch.js";

/**
 * What is planned for: the model's config, the dtype of its activations, what the backward computes again, and this
 * process's place among several ranks (default: alone).
 */
export type PlannedModel = Omit<PassShape, "positions"> & {
  readonly share?: RankShare;
  /** Whether labels of the training data do not count in the loss. Default false. */
  readonly masked?: boolean;
};

/** Held-out sequences of T tokens, all on the device during the run: of several ranks, this one's. */
export interface EvaluationSize {
  readonly sequences: number;
  readonly positions: number;
  /** Which of their labels count; null or absent: all. */
  readonly mask?: object | null;
}

/** The memory layout of a run: everything it will allocate. */
export interface RunPlan {
  readonly shape: PassShape;
  readonly layout: ParameterLayout;
  readonly sharding: Sharding;
  /** The micro-batch of every stage. */
  readonly batches: readonly Batch[];
  /** The held-out blocks, and how many per pass; null if nothing is held out. */
  readonly evaluation: { readonly blocks: Batch; readonly perPass: number } | null;
  /** Of all stages. */
  readonly optimizer: OptimizerKind;
  readonly passes: PassSpecs;
  /** Whether labels of the training data do not count in the loss. */
  readonly masked: boolean;
  readonly tokens: ReturnType<typeof tokenSpecs>;
  /** Of a run with a guard; else null. */
  readonly guard: typeof guardSpecs | null;
}

/** What a guard has on the device: the gradient's norm as it was, and the limits of loss and norm. */
export const guardSpecs = { measured: new Spec("f32", [1]), limits: new Spec("f32", [2]) };

/** A line of the printed plan. */
export interface PlanItem {
  readonly name: string;
  readonly bytes: number;
}

const stateNames = { adamw: "AdamW moments (fp32)", muon: "Muon momentum, AdamW moments (fp32)" } as const;

/** The share of a device's memory that a plan may take; the rest is for libraries and other programs. */
export const usableShare = 0.9;

/**
 * Plans a run's memory, with the largest automatic micro-batches whose plan fits.
 * @param usableBytes the largest plan; by default a share of all the device's memory, not of what is free now, so that
 *   a run's bits do not depend on other processes
 */
export function planRun(
  device: Device,
  model: PlannedModel,
  stages: readonly ResolvedStage[],
  evaluation: EvaluationSize | null,
  usableBytes = usableShare * device.memory().totalBytes,
): RunPlan {
  const shortest = Math.min(...stages.map(({ sequenceLength }) => sequenceLength));
  for (let target = positionsPerPass[device.backend]; ; target /= 2) {
    const batches = stages.map((stage) => microBatch(stage, target, model.share?.size));
    const plan = planBatches(device, model, stages, evaluation, batches);
    // With the smallest micro-batches, even a plan that does not fit is returned: plan_fit.ts reports the shortage.
    if (target <= shortest || plannedBytes(device, plan) <= usableBytes) return plan;
  }
}

/** Plans a run's memory with these micro-batches, one for each stage. */
export function planBatches(
  device: Device,
  { share = alone, masked = false, ...model }: PlannedModel,
  stages: readonly ResolvedStage[],
  size: EvaluationSize | null,
  batches: readonly Batch[],
): RunPlan {
  const evaluation = size !== null && size.sequences > 0 ? size : null;
  const ofTraining = Math.max(...batches.map(({ sequences, positions }) => sequences * positions));
  // One held-out sequence must fit a pass, independently of the stages' sequences.
  const positions = Math.max(ofTraining, evaluation?.positions ?? 0);
  const shape: PassShape = { ...model, positions };
  const heldOut = evaluation && {
    blocks: { sequences: evaluation.sequences, positions: evaluation.positions, patchSize: 1 },
    perPass: blocksPerPass(evaluation.positions, positions),
  };
  const all = [...batches, ...(heldOut ? blockBatches(heldOut.blocks, heldOut.perPass) : [])];
  const passes = passSpecs(device, shape, all, true);
  const { type, freeze } = stages[0]!.optimizer;
  const tokens = tokenSpecs(stages, share.size, masked, evaluation);
  const layout = parameterLayout(model.config, share.size);
  const sharding = shardingOf(layout, share);
  return {
    shape,
    layout,
    sharding,
    batches,
    evaluation: heldOut,
    optimizer: { type, freeze },
    passes,
    masked,
    tokens,
    guard: null,
  };
}

/** Where labels do not count, the tokens as labels lie beside the tokens. */
function tokenSpecs(
  stages: readonly ResolvedStage[],
  ranks: number,
  masked: boolean,
  evaluation: EvaluationSize | null,
) {
  const step = Math.max(...stages.map((stage) => stage.tokensPerStep)) / ranks;
  const heldOut = evaluation && new Spec("i32", [evaluation.sequences * evaluation.positions]);
  return {
    step: new Spec("i32", [masked ? 2 * step : step]),
    evaluation: heldOut && { tokens: heldOut, labels: evaluation?.mask ? heldOut : null },
  };
}

/** The total bytes of a run. */
export function plannedBytes(device: Device, plan: RunPlan): number {
  return planItems(device, plan).reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Bytes of the host's memory that a copy takes of what a checkpoint is written from: snapshot.ts. */
export function copyBytes(device: Device, { shape: { dtype }, layout, sharding, optimizer }: RunPlan): number {
  const { rank, size } = sharding.share;
  if (rank > 0) return 0; // the first rank writes what it gathers from all
  const { master, compute } = parameterSpecs(layout, dtype);
  return (
    planBytes([master, compute]) + size * planBytes(optimizerMemory(device, layout, sharding, dtype, optimizer).state)
  );
}

/** All bytes of a run on its device, by group. */
export function planItems(device: Device, plan: RunPlan): PlanItem[] {
  const { layout, sharding } = plan;
  const { dtype } = plan.shape;
  const weights = parameterSpecs(layout, dtype, sharding.share.size);
  const { gradient, state, rest } = optimizerMemory(device, layout, sharding, dtype, plan.optimizer);
  const { layers, shared, head, labelWeights, scratch, embeddingWorkspace, ...stream } = plan.passes;
  const { workspaceBytes } = device.memory();
  return [
    { name: "master weights (fp32)", bytes: planBytes(weights.master) },
    ...(weights.compute ? [{ name: "weights (bf16)", bytes: planBytes(weights.compute) }] : []),
    { name: "gradients (fp32)", bytes: planBytes(gradient) },
    { name: stateNames[plan.optimizer.type], bytes: planBytes(state) },
    { name: `activations of ${layers.length} layers`, bytes: planBytes([layers, shared]) },
    { name: "activations around the layers", bytes: planBytes(stream) },
    { name: "head: logits of a chunk, labels, losses", bytes: planBytes([head, labelWeights]) },
    { name: "backward scratch", bytes: planBytes([scratch, embeddingWorkspace]) },
    { name: "optimizer scratch", bytes: planBytes([rest, plan.guard]) },
    { name: "tokens of a step, held-out tokens", bytes: planBytes(plan.tokens) },
    ...(workspaceBytes > 0 ? [{ name: "matrix products: workspace", bytes: workspaceBytes }] : []),
    // The CPU needs no transfer buffer.
    ...(device.backend === "cpu" ? [] : [{ name: "tokens of the next step", bytes: planBytes(plan.tokens.step) }]),
  ];
}
