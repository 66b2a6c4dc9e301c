/** `nextpatch compare`: measures what patch-level training costs and what it loses or gains. */
import { type Command, InvalidArgumentError } from "commander";
import { compare } from "../compare/compare.js";
import { summary } from "../compare/markdown.js";
import { ComparisonInterrupted } from "../compare/runner.js";
import { parseSweep } from "../compare/sweep.js";
import { parseTune } from "../compare/tune_grid.js";
import type { RunConfig } from "../config/config.js";
import { type RecipeName, recipeNames } from "../config/recipes.js";
import { leadsRun, leaveRanks } from "../train/join_ranks.js";
import { SharedRuns } from "../train/shared_runs.js";
import type { Trainer } from "../train/trainer.js";
import { deviceNumbers, wholeNumber, withOverrides } from "./arguments.js";
import { type CliIo, silent } from "./io.js";
import { loadRankedConfig, type RankFlags } from "./ranked_config.js";
import { RunSignals } from "./run_signals.js";
import { fromFlags } from "./usage.js";

interface Flags extends RankFlags {
  readonly equalCost?: boolean;
  readonly verifyData?: boolean;
  readonly recipe?: RecipeName[];
  readonly seeds?: number[];
  readonly tune?: string[];
  readonly sweep?: string[];
  readonly tasks?: string[];
}

export function registerCompare(program: Command, io: CliIo): void {
  const command = program
    .command("compare")
    .description("train token by token and in the config's stages, and compare cost and loss; run it again to continue")
    .argument(
      "<config>",
      "a config with a recipe, or stages: patchSize above 1 first, patchSize 1 last; any with --recipe",
    )
    .option(
      "--recipe <names>",
      `compare recipes instead of the config's own stages, at equal cost: one or several of ${recipeNames.join(",")}`,
      recipesOf,
    )
    .option(
      "--seeds <numbers>",
      "run every arm with each of these seeds and compare seed by seed, for example 1,2,3",
      seedsOf,
    )
    .option(
      "--tune <axis...>",
      "first find each arm's best rate, or schedule, in shorter runs, for example --tune lr=2e-3,4e-3,8e-3 " +
        "schedule=cosine,wsd; share=0.1 makes them a tenth as long as the arm's runs instead of a quarter",
    )
    .option("--ranks <N>", "train each run by N processes of this machine, on cpu", wholeNumber(1))
    .option("--devices <numbers>", "train each run by a process on each of these GPUs, for example 0,1", deviceNumbers)
    .option("--equal-cost", "also train in stages at the same FLOPs as the token-level run; recipes always do")
    .option("--verify-data", "read every byte of the data first, and compare it with the hashes in dataset.json")
    .option("--tasks <file.jsonl...>", "also score each run's final model on tasks, as eval --tasks does")
    .option("--sweep <axis...>", "also run every combination, for example --sweep patchSize=2,4,8 fraction=0.5,0.8");
  withOverrides(command).action(async (path: string, flags: Flags) => run(path, flags, io));
}

async function run(path: string, flags: Flags, output: CliIo): Promise<void> {
  const io = leadsRun() ? output : silent;
  const config = await loadRankedConfig(path, flags, io);
  if (config === null) return;
  if (!leadsRun()) return takePart(config, io);
  const texts = flags.sweep;
  const sweep = texts && (await fromFlags("parseSweep", { texts: "--sweep" }, () => parseSweep(texts)));

  const axes = flags.tune;
  const tune = axes && (await fromFlags("parseTune", { texts: "--tune" }, () => parseTune(axes)));

  let current: Trainer | undefined;
  const signals = new RunSignals(config, io, () => current?.requestCheckpoint());
  const progress = io.progress("compare");
  try {
    const { comparison, files, report } = await compare(config, {
      equalCost: flags.equalCost === true,
      verifyData: flags.verifyData === true,
      ...(flags.recipe && { recipes: flags.recipe }),
      ...(flags.seeds && { seeds: flags.seeds }),
      ...(tune && { tune }),
      ...(sweep && { sweep }),
      ...(flags.tasks && { tasks: flags.tasks }),
      signal: signals.signal,
      onRun: (trainer) => {
        current = trainer;
      },
      log: io.log,
      onProgress: ({ done, total, note }) => progress.update(done, total, note),
    });
    progress.stop();
    const written = `page: ${files.html}\ntext: ${files.markdown}\ndata: ${files.json}`;
    io.result(`${summary(report)}\n\n${written}`, comparison);
  } catch (error) {
    if (!(error instanceof ComparisonInterrupted)) throw error;
    await leaveRanks();
    throw new Error(`${error.message}; the same command goes on from there`, { cause: error });
  } finally {
    progress.stop();
    signals.stop();
  }
}

/** What a rank does that is not the first. */
async function takePart(config: RunConfig, io: CliIo): Promise<void> {
  const signals = new RunSignals(config, io, () => undefined);
  const shared = await SharedRuns.join(config);
  try {
    await shared.takePart(signals.signal);
  } finally {
    signals.stop();
    shared.dispose();
  }
  await leaveRanks();
}

/** Reads the names of recipes, separated by commas. */
function recipesOf(text: string): RecipeName[] {
  const names = text.split(",").map((name) => recipeNames.find((known) => known === name.trim()));
  const known = names.filter((name) => name !== undefined);
  if (known.length === names.length && new Set(known).size === known.length) return known;
  throw new InvalidArgumentError(`expected one or several of ${recipeNames.join(", ")}, separated by commas`);
}

/** Reads whole numbers, separated by commas. */
function seedsOf(text: string): number[] {
  const items = text.split(",").map((item) => item.trim());
  const seeds = items.map(Number);
  const whole = items.every((item) => /^\d+$/.test(item)) && seeds.every(Number.isSafeInteger);
  if (whole && new Set(seeds).size === seeds.length) return seeds;
  throw new InvalidArgumentError("expected different whole numbers of at least 0, separated by commas");
}
