/** Recipes: names for the keys of a run config that make up a published way of training in patches. */
import { stringify } from "yaml";

export const recipeNames = ["paper", "superposition"] as const;
/** The name of a recipe. */
export type RecipeName = (typeof recipeNames)[number];

/** K of superposition's patch stage. */
const superpositionPatchSize = 4;

type StepSize = "tokensPerStep" | "positionsPerStep";

/** What a recipe stands for. */
interface Recipe {
  /** What every step has as many of. The batch's step, whichever way it is given, is counted in it. */
  readonly stepSize: StepSize;
  readonly keys: {
    readonly stages: readonly { readonly patchSize: number; readonly fraction?: number; readonly of?: "steps" }[];
    readonly schedule: { readonly type?: "cosine"; readonly perStage: boolean };
    readonly keepOptimizer: boolean;
  };
}

const recipes: Readonly<Record<RecipeName, Recipe>> = {
  paper: {
    stepSize: "tokensPerStep",
    keys: {
      stages: [{ patchSize: 4, fraction: 0.6667 }, { patchSize: 1 }],
      schedule: { type: "cosine", perStage: true },
      keepOptimizer: false,
    },
  },
  superposition: {
    stepSize: "positionsPerStep",
    keys: {
      stages: [{ patchSize: superpositionPatchSize, fraction: 0.3, of: "steps" }, { patchSize: 1 }],
      schedule: { perStage: false },
      keepOptimizer: true,
    },
  },
};

/**
 * A config, as it stands in its file, with its recipe replaced by the keys that it stands for. Keys beside it win:
 * `stages` as a whole, those of `schedule` one by one. The batch's step is the token-level stage's, where tokens and
 * positions are the same number; the recipe says which of the two the other stages have as many of. A config without a
 * recipe, or with what is none, is returned as it is.
 */
export function expandRecipe(config: unknown): unknown {
  const recipe = recipeOf(config);
  if (recipe === null) return config;
  const { recipe: _, ...given } = config as Section;
  const { stepSize, keys } = recipes[recipe];
  const { stages = keys.stages, schedule = {}, keepOptimizer = keys.keepOptimizer } = given;
  return {
    ...given,
    stages,
    schedule: isSection(schedule) ? { ...keys.schedule, ...schedule } : schedule,
    keepOptimizer,
    ...(given.batch !== undefined && { batch: countedIn(stepSize, given.batch) }),
  };
}

/** A config with its recipe's stages, if it names one and has none of its own, so that a key of a stage can be set. */
export function withStages(config: unknown): unknown {
  const recipe = recipeOf(config);
  return recipe === null ? config : { stages: structuredClone(recipes[recipe].keys.stages), ...(config as Section) };
}

/** The recipe that a config names; null if it names none. */
export function recipeOf(config: unknown): RecipeName | null {
  const name = isSection(config) ? config.recipe : undefined;
  return recipeNames.find((known) => known === name) ?? null;
}

/** The keys that a recipe and those beside it come to, for the user: a line of YAML each. */
export function recipeText(recipe: RecipeName, resolved: Readonly<Record<keyof Recipe["keys"] | "batch", unknown>>) {
  const { stages, batch, schedule, keepOptimizer } = resolved;
  const lines = Object.entries({ stages, batch, schedule, keepOptimizer }).map(
    ([key, value]) => `  ${key}: ${stringify(value, { collectionStyle: "flow", lineWidth: 0 }).trimEnd()}`,
  );
  return [`recipe ${recipe}:`, ...lines].join("\n");
}

/** Says of a problem with the step's size where the size is from, if a recipe has renamed its key; else an empty text. */
export function recipeHint(config: unknown, problem: string): string {
  const recipe = recipeOf(config);
  if (recipe === null) return "";
  const { stepSize } = recipes[recipe];
  const { batch } = config as Section;
  if (!isSection(batch) || batch[stepSize] !== undefined || !problem.startsWith(`batch.${stepSize}:`)) return "";
  return ` (recipe ${recipe} takes batch.${otherSize(stepSize)} for it)`;
}

type Section = Readonly<Record<string, unknown>>;

/** The batch section with its step counted in tokens or in positions. A wrong one stays, for the schema to report. */
function countedIn(stepSize: StepSize, batch: unknown): unknown {
  const other = otherSize(stepSize);
  if (!isSection(batch) || batch[stepSize] !== undefined || !Number.isInteger(batch[other])) return batch;
  const { [other]: size, ...rest } = batch;
  return { [stepSize]: size, ...rest };
}

function otherSize(stepSize: StepSize): StepSize {
  return stepSize === "tokensPerStep" ? "positionsPerStep" : "tokensPerStep";
}

function isSection(value: unknown): value is Section {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
