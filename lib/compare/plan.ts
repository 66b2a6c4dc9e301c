/** What a comparison runs: its arms, each an ordinary run with its own config and folder. */
import { join } from "node:path";
import type { RunConfig } from "../config/config.js";
import { type ResolvedStage, resolveStages } from "../config/stages.js";
import { verifyData } from "../data/verify_data.js";
import { ConfigError } from "../errors.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { forwardFlops, stepFlops } from "../nn/flops.js";
import { closeRunData, openRunData } from "../train/run_data.js";
import { modelOf } from "../train/run_plan.js";
import { type StageCost, stageCosts } from "../train/stage_costs.js";
import { deriveConfig } from "./derive.js";
import { combinations, type Sweep } from "./sweep.js";

/** FLOPs of the parts that have any; see nn/flops.ts. */
export interface PartFlops {
  readonly embedding: number;
  /** Projections and attention. */
  readonly transformer: number;
  readonly head: number;
}

/** One run of a comparison. */
export interface Arm {
  /** The displayed name: `token-level`, `K = 4, fraction 0.6667`. */
  readonly label: string;
  readonly config: RunConfig;
  readonly stages: readonly ResolvedStage[];
  readonly steps: number;
  readonly tokens: number;
  /** FLOPs of a step of each stage; see nn/flops.ts. */
  readonly stepFlops: readonly number[];
  /** FLOPs of all its steps. */
  readonly flops: number;
  /** Forward FLOPs of all its steps; a part's backward costs the same multiple of them in every run. */
  readonly partFlops: PartFlops;
}

/** FLOPs of the first `step` steps of an arm. */
export function flopsAt({ stages, stepFlops }: Pick<Arm, "stages" | "stepFlops">, step: number): number {
  return stages.reduce((sum, { firstStep, steps }, index) => {
    return sum + Math.min(Math.max(step - firstStep, 0), steps) * stepFlops[index]!;
  }, 0);
}

/** A run in stages: patches first, then tokens. */
export interface StagedArm extends Arm {
  /** K of the first stage. */
  readonly patchSize: number;
  /** The first stage's share of the run, as the config has it, before it is rounded to whole steps. */
  readonly fraction: number;
  /** What each stage comes to. */
  readonly stageCosts: readonly StageCost[];
}

/** The runs of a comparison. */
export interface ComparisonPlan {
  /** Token-level. */
  readonly baseline: Arm;
  /** In the config's stages. */
  readonly patch: StagedArm;
  /** In the same stages, on as many tokens as the baseline's FLOPs pay for. */
  readonly equalCost: StagedArm | null;
  /** Sweep arms, including the patch arm if the sweep contains its values. */
  readonly sweep: readonly StagedArm[];
  /** All arms, each once, in the order they run. */
  readonly arms: readonly Arm[];
  /** Tokens in the training shards, and in the held-out ones. */
  readonly availableTokens: number;
  readonly heldOutTokens: number;
}

/** The runs of a comparison beyond the two. */
export interface PlanOptions {
  /** Plan a staged run on as many tokens as the baseline's FLOPs pay for. */
  readonly equalCost?: boolean;
  /** Plan a staged run for every combination of these values; the config must have two stages. */
  readonly sweep?: Sweep;
  /** Read every byte of the data first, as `TrainerOptions.verifyData`. Default false. */
  readonly verifyData?: boolean;
  /** Called with messages for the user: what `auto` chose, which run begins, resumes or is already done. */
  readonly log?: (message: string) => void;
}

/**
 * Plans a comparison: everything that can be wrong with it is reported here, before anything runs.
 * @param config a config of two stages or more, the first of patches, the last token-level
 * @throws ConfigError, DataError
 */
export async function planComparison(config: RunConfig, options: PlanOptions = {}): Promise<ComparisonPlan> {
  checkStages(config, options);
  const { log = () => undefined, verifyData: verifies = false } = options;
  const data = await openRunData(config); // each run says what is not known of it
  let shape: LlamaConfig;
  try {
    ({ shape } = await modelOf(config, data));
    if (verifies) await verifyData(data.datasets, data.identity, shape.vocab_size, log);
  } finally {
    await closeRunData(data);
  }
  const availableTokens = data.trainingTokens;
  const heldOutTokens = data.val?.tokenCount ?? 0;
  const { patchSize, fraction } = firstStage(config);
  const name = (label: string, folder: string) => ({ name: `${config.name}: ${label}`, out: join(config.out, folder) });
  const staged = (changes: Readonly<Record<string, unknown>>, label: string, folder: string): StagedArm => {
    const derived = deriveConfig(config, { ...changes, ...name(label, folder) }, label);
    const arm = makeArm(derived, label, shape, availableTokens);
    return { ...arm, ...firstStage(derived), stageCosts: stageCosts(arm.stages, shape) };
  };

  const label = labelOf(config);
  const patch = staged({}, label, "patch");
  const unit = config.data.shuffleTokens ?? longestBlock(patch.stages);
  // The baseline reads exactly the staged run's tokens, in the same order: shuffled by the same units.
  const baselineChanges = {
    stages: [{ patchSize: 1 }],
    train: { tokens: patch.tokens },
    data: { ...config.data, shuffleTokens: unit },
    ...name("token-level", "baseline"),
  };
  const baseline = makeArm(deriveConfig(config, baselineChanges, "token-level"), "token-level", shape, availableTokens);

  let equalCost: StagedArm | null = null;
  if (options.equalCost) {
    equalCost = staged({ train: { flops: baseline.flops } }, `${label}, equal cost`, "equal-cost");
  }
  const wanted = options.sweep === undefined ? [] : combinations(options.sweep, { patchSize, fraction });
  const sweep = wanted.map((point): StagedArm => {
    if (point.patchSize === patchSize && point.fraction === fraction) return patch;
    const [first, second] = config.stages;
    const { fraction: _fraction, of: _of, ...rest } = second!;
    const stages = [{ ...first, ...point }, rest];
    const changes = {
      stages,
      train: { tokens: patch.tokens },
      data: { ...config.data, shuffleTokens: leastCommonMultiple(unit, blockOf(config, point.patchSize)) },
    };
    return staged(changes, labelOf({ stages }), join("sweep", `k${point.patchSize}-fraction${point.fraction}`));
  });
  const arms = [...new Set<Arm>([baseline, patch, ...(equalCost ? [equalCost] : []), ...sweep])];
  for (const arm of arms) checkData(arm, availableTokens);
  return { baseline, patch, equalCost, sweep, arms, availableTokens, heldOutTokens };
}

function checkStages({ stages, data }: RunConfig, { sweep }: PlanOptions): void {
  const sizes = stages.map((stage) => stage.patchSize);
  const received = `but received patchSize ${sizes.join(", then ")}`;
  if (sizes.length < 2 || sizes[0]! < 2 || sizes.at(-1) !== 1) {
    throw new ConfigError(
      `stages: expected two or more, the first with a patchSize above 1, the last with patchSize 1, ${received}`,
    );
  }
  if (sweep !== undefined && sizes.length > 2) throw new ConfigError(`stages: expected two for a sweep ${received}`);
  if (data.val === undefined) {
    throw new ConfigError("data.val: expected held-out data, as a comparison needs it, but received nothing");
  }
}

/** K and share of the first stage. */
function firstStage({ stages }: Pick<RunConfig, "stages">): { patchSize: number; fraction: number } {
  return { patchSize: stages[0]!.patchSize, fraction: sharesOf(stages)[0]! };
}

/** The share of each stage: of what is trained, if the fractions sum to less than the whole run. */
function sharesOf(stages: RunConfig["stages"]): number[] {
  const given = stages.reduce((sum, { fraction }) => sum + (fraction ?? 0), 0);
  const open = stages.some(({ fraction }) => fraction === undefined);
  return stages.map(({ fraction }) => (fraction === undefined ? 1 - given : open ? fraction : fraction / given));
}

/** `K = 4, fraction 0.6667`, or `K = 8, 4, fractions 0.1, 0.2 of steps`: all stages but the last. */
function labelOf({ stages }: Pick<RunConfig, "stages">): string {
  const before = stages.slice(0, -1);
  const list = (values: readonly number[]) => values.map((value) => Number(value.toPrecision(6))).join(", ");
  const { of = "tokens" } = stages.find((stage) => stage.of !== undefined) ?? {};
  const unit = { tokens: "", steps: " of steps", flops: " of FLOPs" }[of];
  const fractions = `fraction${before.length > 1 ? "s" : ""} ${list(sharesOf(stages).slice(0, -1))}`;
  return `K = ${list(before.map(({ patchSize }) => patchSize))}, ${fractions}${unit}`;
}

function makeArm(config: RunConfig, label: string, shape: LlamaConfig, availableTokens: number): Arm {
  const stages = resolveStages(config, availableTokens, (step) => stepFlops(shape, step));
  const steps = stages.reduce((sum, stage) => sum + stage.steps, 0);
  const tokens = stages.reduce((sum, stage) => sum + stage.tokens, 0);
  const perStep = { stages, stepFlops: stages.map((stage) => stepFlops(shape, stage)) };
  const flops = flopsAt(perStep, steps);
  return { label, config, ...perStep, steps, tokens, flops, partFlops: countPartFlops(stages, shape) };
}

function countPartFlops(stages: readonly ResolvedStage[], shape: LlamaConfig): PartFlops {
  const flops = { embedding: 0, transformer: 0, head: 0 };
  for (const { steps, positionsPerStep, sequenceLength, patchSize } of stages) {
    const positions = steps * positionsPerStep;
    const { embedding, projections, attention, head } = forwardFlops(shape, sequenceLength, patchSize);
    flops.embedding += positions * embedding;
    flops.transformer += positions * (projections + attention);
    flops.head += positions * head;
  }
  return flops;
}

const longestBlock = (stages: readonly ResolvedStage[]) =>
  Math.max(...stages.map((stage) => stage.patchSize * stage.sequenceLength));

/** Tokens of a sequence of the first stage at another patch size. */
function blockOf({ stages, batch }: RunConfig, patchSize: number): number {
  return patchSize * (stages[0]!.batch?.sequenceLength ?? batch.sequenceLength);
}

function leastCommonMultiple(a: number, b: number): number {
  const divisor = (x: number, y: number): number => (y === 0 ? x : divisor(y, x % y));
  return (a / divisor(a, b)) * b;
}

function checkData({ label, config, stages }: Arm, availableTokens: number): void {
  const unit = config.data.shuffleTokens ?? longestBlock(stages);
  if (availableTokens >= unit) return;
  throw new ConfigError(
    `data.train: expected at least ${unit} tokens for ${label} (data.shuffleTokens, or the longest sequence) ` +
      `but received ${availableTokens}`,
  );
}
