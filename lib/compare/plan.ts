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

/** A run in two stages: patches first, then tokens. */
export interface StagedArm extends Arm {
  /** K of the first stage. */
  readonly patchSize: number;
  /** The first stage's share of the tokens, as the config has it, before it is rounded to whole steps. */
  readonly fraction: number;
}

/** The runs of a comparison. */
export interface ComparisonPlan {
  /** Token-level. */
  readonly baseline: Arm;
  /** In the config's two stages. */
  readonly patch: StagedArm;
  /** In two stages, on as many tokens as the baseline's FLOPs pay for. */
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
  /** Plan a staged run for every combination of these values. */
  readonly sweep?: Sweep;
  /** Read every byte of the data first, as `TrainerOptions.verifyData`. Default false. */
  readonly verifyData?: boolean;
  /** Called with messages for the user: what `auto` chose, which run begins, resumes or is already done. */
  readonly log?: (message: string) => void;
}

/**
 * Plans a comparison: everything that can be wrong with it is reported here, before anything runs.
 * @param config a config of two stages, the first of patches, the second of tokens
 * @throws ConfigError, DataError
 */
export async function planComparison(config: RunConfig, options: PlanOptions = {}): Promise<ComparisonPlan> {
  checkTwoStages(config);
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
  const { patchSize, fraction } = shareOfPatches(config);
  const name = (label: string, folder: string) => ({ name: `${config.name}: ${label}`, out: join(config.out, folder) });
  const staged = (changes: Readonly<Record<string, unknown>>, label: string, folder: string): StagedArm => {
    const derived = deriveConfig(config, { ...changes, ...name(label, folder) }, label);
    return { ...makeArm(derived, label, shape, availableTokens), ...shareOfPatches(derived) };
  };

  const label = `K = ${patchSize}, fraction ${fraction}`;
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
    const tokens = tokensForFlops(patch, baseline.flops, shape);
    equalCost = staged({ train: { tokens } }, `${label}, equal cost`, "equal-cost");
  }
  const wanted = options.sweep === undefined ? [] : combinations(options.sweep, { patchSize, fraction });
  const sweep = wanted.map((point): StagedArm => {
    if (point.patchSize === patchSize && point.fraction === fraction) return patch;
    const [first, second] = config.stages;
    const { fraction: _, ...rest } = second!;
    const changes = {
      stages: [{ ...first, ...point }, rest],
      train: { tokens: patch.tokens },
      data: { ...config.data, shuffleTokens: leastCommonMultiple(unit, blockOf(config, point.patchSize)) },
    };
    const pointLabel = `K = ${point.patchSize}, fraction ${point.fraction}`;
    return staged(changes, pointLabel, join("sweep", `k${point.patchSize}-fraction${point.fraction}`));
  });
  const arms = [...new Set<Arm>([baseline, patch, ...(equalCost ? [equalCost] : []), ...sweep])];
  for (const arm of arms) checkData(arm, availableTokens);
  return { baseline, patch, equalCost, sweep, arms, availableTokens, heldOutTokens };
}

function checkTwoStages({ stages, data }: RunConfig): void {
  const sizes = stages.map((stage) => stage.patchSize);
  if (sizes.length !== 2 || sizes[0]! < 2 || sizes[1] !== 1) {
    throw new ConfigError(
      "stages: expected two, the first with a patchSize above 1, the second with patchSize 1, " +
        `but received patchSize ${sizes.join(", then ")}`,
    );
  }
  if (data.val === undefined) {
    throw new ConfigError("data.val: expected held-out data, as a comparison needs it, but received nothing");
  }
}

function shareOfPatches({ stages }: RunConfig): { patchSize: number; fraction: number } {
  const [first, second] = stages.map((stage) => stage.fraction);
  const fraction = first === undefined ? 1 - second! : second === undefined ? first : first / (first + second);
  return { patchSize: stages[0]!.patchSize, fraction };
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

/** The length of a run like `arm` whose FLOPs are closest to `flops`: within a step. */
function tokensForFlops(arm: StagedArm, flops: number, shape: LlamaConfig): number {
  const tokensPerStep = arm.stages[1]!.tokensPerStep;
  const about = Math.round((arm.tokens * flops) / arm.flops / tokensPerStep);
  // The stages' shares are rounded to whole steps, so the best length may be a few steps off.
  const lengths = [-3, -2, -1, 0, 1, 2, 3].map((offset) => (about + offset) * tokensPerStep);
  const miss = (tokens: number) =>
    Math.abs(makeArm({ ...arm.config, train: { tokens } }, arm.label, shape, tokens).flops - flops);
  const fitting = lengths.filter((tokens) => tokens >= arm.tokens).map((tokens) => ({ tokens, miss: miss(tokens) }));
  return fitting.reduce((best, next) => (next.miss < best.miss ? next : best)).tokens;
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
