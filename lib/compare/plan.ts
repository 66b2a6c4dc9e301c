/** What a comparison runs: its arms, each run once per seed in a folder of its own. */
import type { RunConfig } from "../config/config.js";
import type { RecipeName } from "../config/recipes.js";
import { verifyData } from "../data/verify_data.js";
import { ConfigError } from "../errors.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { parameterCount } from "../hf/names.js";
import { closeRunData, maskedData, openRunData } from "../train/run_data.js";
import { modelOf } from "../train/run_plan.js";
import { type Arm, type ArmRun, type Common, longestBlock } from "./arm.js";
import { armsOf, type Method, type Methods, planOwnStages, planRecipes, type StagedArm } from "./methods.js";
import type { Settings } from "./setting.js";
import type { Sweep } from "./sweep.js";
import { sweepArms } from "./sweep_arms.js";
import type { Tune } from "./tune_grid.js";

/** The runs of a comparison. */
export interface ComparisonPlan {
  /** Token-level. */
  readonly baseline: Arm;
  /** The ways of training in stages: that of the config, or a recipe each. At least one. */
  readonly methods: readonly Method[];
  /** The first method's, on the config's tokens, or at the baseline's FLOPs if its recipe is defined so. */
  readonly patch: StagedArm;
  /** The first method's, at the baseline's FLOPs. */
  readonly equalCost: StagedArm | null;
  /** Sweep arms, including the patch arm if the sweep contains its values. */
  readonly sweep: readonly StagedArm[];
  /** All arms, each once. */
  readonly arms: readonly Arm[];
  /** All runs in their order: all arms with the first seed, then with the second. */
  readonly runs: readonly ArmRun[];
  readonly seeds: readonly number[];
  /** Tokens in the training shards, and in the held-out ones. */
  readonly availableTokens: number;
  readonly heldOutTokens: number;
  /** Which of them have a loss mask: `data.train`, `data.val`. */
  readonly masked: readonly string[];
  /** Of the model. */
  readonly parameters: number;
}

/** The runs of a comparison beyond the two. */
export interface PlanOptions {
  /** Plan a staged run on as many tokens as the baseline's FLOPs pay for; recipes always have one. */
  readonly equalCost?: boolean;
  /** Compare these recipes, each against the same baseline, instead of the config's own stages. */
  readonly recipes?: readonly RecipeName[];
  /** Run every arm with each of these seeds: of the data's order and of the first weights. Default: the config's. */
  readonly seeds?: readonly number[];
  /** Choose each arm's learning rate, or schedule, by shorter runs first. */
  readonly tune?: Tune;
  /** Plan a staged run for every combination of these values. */
  readonly sweep?: Sweep;
  /** Read every byte of the data first, as `TrainerOptions.verifyData`. Default false. */
  readonly verifyData?: boolean;
  /** Called with messages for the user: what `auto` chose, which run begins, resumes or is already done. */
  readonly log?: (message: string) => void;
}

/** What a plan needs to know of the data and the model. */
export interface Facts {
  readonly shape: LlamaConfig;
  readonly availableTokens: number;
  readonly heldOutTokens: number;
  /** Which of them have a loss mask: `data.train`, `data.val`. */
  readonly masked: readonly string[];
}

/** Opens the data and the model of a config, to learn what a plan needs. @throws ConfigError, DataError */
export async function readFacts(config: RunConfig, { log, verifyData: verifies }: PlanOptions = {}): Promise<Facts> {
  if (config.data.val === undefined) {
    throw new ConfigError("data.val: expected held-out data, as a comparison needs it, but received nothing");
  }
  const data = await openRunData(config); // each run says what is not known of it
  try {
    const { shape } = await modelOf(config, data);
    if (verifies) await verifyData(data.datasets, data.identity, shape.vocab_size, log ?? (() => undefined));
    const heldOutTokens = data.val?.tokenCount ?? 0;
    return { shape, availableTokens: data.trainingTokens, heldOutTokens, masked: maskedData(data) };
  } finally {
    await closeRunData(data);
  }
}

/**
 * Plans a comparison: everything that can be wrong with it is reported here, before anything runs.
 * @param config one whose stages end token by token, or with recipes any
 * @param facts of its data and its model
 * @param settings what the arms are trained with, if that has been tuned
 */
export function makePlan(
  config: RunConfig,
  facts: Facts,
  options: PlanOptions,
  settings: Settings | null = null,
): ComparisonPlan {
  const { recipes, seeds = null, sweep: swept } = options;
  const { shape, availableTokens, heldOutTokens, masked } = facts;
  const common: Common = { config, shape, availableTokens, seeds };
  const planned: Methods =
    recipes === undefined
      ? planOwnStages(common, options.equalCost === true, settings)
      : planRecipes(common, recipes, settings);
  const { baseline, methods } = planned;
  const { run: patch, equalCost } = methods[0]!;
  const sweep = swept === undefined ? [] : sweepArms(common, planned, swept);
  const arms = [...new Set<Arm>([baseline, ...methods.flatMap(armsOf), ...sweep])];
  for (const arm of arms) checkData(arm, availableTokens);
  const own = seeds ?? [config.seed];
  const runs = own.flatMap((_, index) => arms.map((arm) => arm.runs[index]!));
  const parameters = parameterCount(shape);
  return {
    baseline,
    methods,
    patch,
    equalCost,
    sweep,
    arms,
    runs,
    seeds: own,
    availableTokens,
    heldOutTokens,
    masked,
    parameters,
  };
}

function checkData({ label, config, stages }: Arm, availableTokens: number): void {
  const unit = config.data.shuffleTokens ?? longestBlock(stages);
  if (availableTokens >= unit) return;
  throw new ConfigError(
    `data.train: expected at least ${unit} tokens for ${label} (data.shuffleTokens, or the longest sequence) ` +
      `but received ${availableTokens}`,
  );
}
