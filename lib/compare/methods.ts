/** The arms of a comparison: token-level training, and each way of training in stages, at equal data and at equal cost. */

import { leastCommonMultiple } from "../config/divisors.js";
import { type RecipeName, recipeNames } from "../config/recipes.js";
import { ConfigError } from "../errors.js";
import { type StageCost, stageCosts } from "../train/stage_costs.js";
import { type Arm, type ArmDraft, type Common, lengthOf, longestBlock, makeArm } from "./arm.js";
import { deriveConfig, withRecipe } from "./derive.js";
import { rateOf, type Setting, type Settings, settingChanges, settingSuffix } from "./setting.js";
import { coveredShare, firstStage, stagesLabel } from "./stage_shares.js";

/** An arm whose first stage trains on patches. */
export interface StagedArm extends Arm {
  /** K of the first stage. */
  readonly patchSize: number;
  /** The first stage's share of the run, as the config has it, before it is rounded to whole steps. */
  readonly fraction: number;
  /** What each stage comes to. */
  readonly stageCosts: readonly StageCost[];
}

/** A way of training in stages. */
export interface Method {
  /** A recipe's name, or `patch` for the config's own stages. */
  readonly key: string;
  /** The displayed name. */
  readonly label: string;
  /** On the baseline's tokens; at its FLOPs, if the recipe keeps the positions of a step constant. */
  readonly run: StagedArm;
  /** At the baseline's FLOPs, perhaps the same arm; null: not planned. */
  readonly equalCost: StagedArm | null;
  /** The last of these two with the baseline's learning rate, perhaps the same arm; null: nothing was tuned. */
  readonly atBaselineRate: StagedArm | null;
}

/** The baseline, and the methods compared with it. */
export interface Methods {
  readonly baseline: Arm;
  readonly methods: readonly Method[];
}

/** The key of the baseline, as a method's. */
export const baselineKey = "baseline";

/** The arms of a method, each once. */
export function armsOf({ run, equalCost, atBaselineRate }: Method): StagedArm[] {
  return [...new Set([run, equalCost, atBaselineRate])].filter((arm) => arm !== null);
}

/** The config's own stages, against a baseline on as many tokens. @throws ConfigError */
export function planOwnStages(common: Common, equalCost: boolean, settings: Settings | null): Methods {
  const { config } = common;
  checkStages(common);
  const { stages, tokens } = lengthOf(common, config);
  // The baseline reads exactly the staged run's tokens, in the same order: shuffled by the same units.
  const unit = config.data.shuffleTokens ?? longestBlock(stages);
  const baseline = planBaseline(common, { train: { tokens } }, unit, settings);
  const run = { label: stagesLabel(config.stages), folder: "patch", config };
  const longer = equalCost ? { ...atCostOf(baseline, run), folder: "equal-cost" } : null;
  return { baseline, methods: [planMethod(common, "patch", run, longer, settings)] };
}

/** Recipes with the config's other keys, against a baseline as long as the config says. @throws ConfigError */
export function planRecipes(common: Common, recipes: readonly RecipeName[], settings: Settings | null): Methods {
  const { config } = common;
  // The blocks of every recipe, so that another one can be compared with the same baseline later.
  const blocks = recipeNames.map((name) => longestBlock(lengthOf(common, withRecipe(config, name)).stages));
  const unit = config.data.shuffleTokens ?? blocks.reduce(leastCommonMultiple);
  const baseline = planBaseline(common, {}, unit, settings);
  const changes = { data: { ...config.data, shuffleTokens: unit }, train: { tokens: baseline.tokens } };
  const methods = recipes.map((name) => {
    const own = { label: name, folder: name, config: deriveConfig(withRecipe(config, name), changes, name) };
    const equal = atCostOf(baseline, own);
    // Where every step has the same positions, the recipe itself costs as much as the baseline, step for step.
    const itself = own.config.batch.positionsPerStep !== undefined;
    const run = itself ? { ...equal, label: name } : own;
    return planMethod(common, name, run, itself ? run : { ...equal, folder: `${name}-equal-cost` }, settings);
  });
  return { baseline, methods };
}

function planBaseline(common: Common, changes: object, shuffleTokens: number, settings: Settings | null): Arm {
  const { config } = common;
  const single = { stages: [{ patchSize: 1 }], data: { ...config.data, shuffleTokens }, ...changes };
  const draft = { label: "token-level", folder: baselineKey, config: deriveConfig(config, single, "token-level") };
  return makeArm(common, withSetting(common, draft, settings?.get(baselineKey)));
}

/** A draft's training, as long as the baseline's FLOPs pay for. */
function atCostOf(baseline: Arm, { label, folder, config }: ArmDraft): ArmDraft {
  // Stages that leave a part of the length out use that part of the FLOPs only.
  const train = { flops: baseline.flops / coveredShare(config.stages) };
  const longer = `${label}, equal cost`;
  return { label: longer, folder, config: deriveConfig(config, { train }, longer) };
}

/** @param longer the draft at equal cost; null: none; the same as `own`: that one is at equal cost */
function planMethod(
  common: Common,
  key: string,
  own: ArmDraft,
  longer: ArmDraft | null,
  settings: Settings | null,
): Method {
  const setting = settings?.get(key);
  const run = makeStagedArm(common, withSetting(common, own, setting));
  const equalCost = longer === own ? run : longer && makeStagedArm(common, withSetting(common, longer, setting));
  let atBaselineRate: StagedArm | null = null;
  if (settings !== null) {
    const { lr } = settings.get(baselineKey)!;
    const draft = withSetting(common, longer ?? own, { ...setting, lr });
    const same = rateOf(draft.config.optimizer) === rateOf(run.config.optimizer);
    atBaselineRate = same ? (equalCost ?? run) : makeStagedArm(common, { ...draft, label: `${draft.label}, lr ${lr}` });
  }
  return { key, label: own.label, run, equalCost, atBaselineRate };
}

/** A draft with what tuning chose, also in its folder's name. */
function withSetting({ config: given }: Common, { label, folder, config }: ArmDraft, setting: Setting = {}): ArmDraft {
  const changed = deriveConfig(config, settingChanges(config, setting), label);
  return { label, folder: folder + settingSuffix(given, changed), config: changed };
}

/** The arm of a config whose first stage trains on patches. */
export function makeStagedArm(common: Common, draft: ArmDraft): StagedArm {
  const arm = makeArm(common, draft);
  return { ...arm, ...firstStage(draft.config.stages), stageCosts: stageCosts(arm.stages, common.shape) };
}

function checkStages({ config: { stages } }: Common): void {
  const sizes = stages.map((stage) => stage.patchSize);
  if (sizes.length < 2 || sizes[0]! < 2 || sizes.at(-1) !== 1) {
    throw new ConfigError(
      "stages: expected two or more, the first with a patchSize above 1, the last with patchSize 1, or recipes to " +
        `compare (--recipe), but received patchSize ${sizes.join(", then ")}`,
    );
  }
  const counted = stages.findIndex(({ steps }) => steps !== undefined);
  if (counted !== -1) {
    throw new ConfigError(
      `stages[${counted}].steps: expected a fraction, as the runs of a comparison differ in length, but received steps`,
    );
  }
}
