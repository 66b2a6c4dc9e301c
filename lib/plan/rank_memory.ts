/** The memory of one rank of a run on GPUs that are not there. */
import type { ResolvedStage } from "../config/stages.js";
import { biasesOf } from "../hf/architectures.js";
import { planBytes, Spec } from "../nn/buffers.js";
import { gradientSpecs } from "../nn/gradients.js";
import { type ParameterLayout, parameterLayout, shardingOf } from "../nn/parameters.js";
import { type PassWorkspaces, specsWith } from "../nn/pass_memory.js";
import { type Batch, type PassShape, widths } from "../nn/shape.js";
import type { RankShare } from "../nn/sharding.js";
import { hiddenRange } from "../optim/muon_layout.js";
import type { PlanItem, PlannedModel } from "../train/memory_plan.js";
import { usableShare } from "../train/memory_plan.js";
import { microBatch, positionsPerPass } from "../train/micro_batch.js";

export interface RankMemory {
  /** The micro-batch of every stage, of a rank. */
  readonly batches: readonly Batch[];
  readonly items: readonly PlanItem[];
  readonly bytes: number;
  /** The share of a GPU's memory that a plan may take. */
  readonly usableBytes: number;
  readonly fits: boolean;
}

/** A model, and how the ranks share it. */
type ClusterModel = Omit<PlannedModel, "share"> & { readonly share: RankShare };

/** cuBLASLt's, as native/cuda/gemm_cublaslt.cpp has it. */
const productWorkspace = 128 * 2 ** 20;

/**
 * Plans a rank's memory, with the largest automatic micro-batches that fit.
 * @param stages those of a rank: with its sequences of a step
 * @param evaluated positions of a held-out sequence; 0: there is none
 */
export function rankMemory(
  model: ClusterModel,
  stages: readonly ResolvedStage[],
  evaluated: number,
  memoryBytes: number,
): RankMemory {
  const usableBytes = usableShare * memoryBytes;
  const shortest = Math.min(...stages.map(({ sequenceLength }) => sequenceLength));
  for (let target = positionsPerPass.cuda; ; target /= 2) {
    const batches = stages.map((stage) => microBatch(stage, target));
    const items = memoryItems(model, stages, evaluated, batches);
    const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
    const fits = bytes <= usableBytes;
    if (fits || target <= shortest) return { batches, items, bytes, usableBytes, fits };
  }
}

/** As lib/train/memory_plan.ts has them, with masters and the optimizer's state divided among the ranks. */
function memoryItems(
  { share, ...model }: ClusterModel,
  stages: readonly ResolvedStage[],
  evaluated: number,
  batches: readonly Batch[],
): PlanItem[] {
  const positions = Math.max(evaluated, ...batches.map((batch) => batch.sequences * batch.positions));
  const shape: PassShape = { ...model, positions };
  const all = evaluated === 0 ? batches : [...batches, { sequences: 1, positions: evaluated, patchSize: 1 }];
  const passes = specsWith("cuda", gpuWorkspaces(shape, all), shape, all, true);
  const { layers, shared, head, labelWeights, scratch, embeddingWorkspace, ...stream } = passes;
  const { size: ranks } = share;
  const layout = parameterLayout(model.config, ranks);
  const { size: parameters } = layout;
  const of = ranks === 1 ? "" : `, 1/${ranks}`;
  const type = stages[0]!.optimizer.type;
  const state = type === "muon" ? "Muon momentum, AdamW moments (fp32)" : "AdamW moments (fp32)";
  const tokens = Math.max(...stages.map(({ tokensPerStep }) => tokensPerStep));
  return [
    { name: `master weights (fp32)${of}`, bytes: (4 * parameters) / ranks },
    { name: "weights (bf16)", bytes: 2 * parameters },
    { name: "gradients (fp32)", bytes: planBytes(gradientSpecs(layout, shardingOf(layout, share))) },
    { name: `${state}${of}`, bytes: stateBytes(layout, parameters, type) / ranks },
    { name: `activations of ${layers.length} layers`, bytes: planBytes([layers, shared]) },
    { name: "activations around the layers", bytes: planBytes(stream) },
    { name: "head: logits of a chunk, labels, losses", bytes: planBytes([head, labelWeights]) },
    { name: "backward scratch", bytes: planBytes([scratch, embeddingWorkspace]) },
    { name: "tokens of two steps", bytes: 2 * new Spec("i32", [tokens]).bytes },
    { name: "matrix products: workspace", bytes: productWorkspace },
  ];
}

function stateBytes(layout: ParameterLayout, parameters: number, type: "adamw" | "muon"): number {
  return 8 * parameters - (type === "muon" ? 4 * hiddenRange(layout).size : 0);
}

/**
 * Elements of the workspaces of native/cuda: attention/backward.cu, slices.h, patch_embedding_backward.cu. Together they
 * are less than a hundredth of any plan; a test compares them with those of `simt`, which runs the same code.
 */
export function gpuWorkspaces({ config, positions }: PassShape, batches: readonly Batch[]): PassWorkspaces {
  const { hidden, intermediate, queries, qkv } = widths(config);
  const { num_attention_heads: heads } = config;
  const biases = biasesOf(config);
  const rowWidths = [hidden, queries, biases.qkv ? qkv : 0, biases.mlp ? 2 * intermediate : 0];
  const padded = (length: number) => Math.ceil(length / 128) * 128;
  const tokens = positions * Math.max(...batches.map(({ patchSize }) => patchSize));
  return {
    attention: Math.max(...batches.map((batch) => 2 * batch.sequences * heads * padded(batch.positions))),
    rows: Math.min(positions, 528) * Math.max(...rowWidths),
    embedding: 2 * tokens + Math.min(64 * tokens, 4 * 128 * 16 * 132),
  };
}
