import { join } from "node:path";
import type { RunConfig } from "../config/config.js";
import { recipeText } from "../config/recipes.js";
import { Device, type DeviceSpec } from "../device.js";
import { writeText } from "../disk/durable.js";
import { ownFolder } from "../disk/owned_folder.js";
import { ConfigError } from "../errors.js";
import { type ReadItems, readTasks } from "../evaluate/read_items.js";
import { readEnvironment } from "../train/environment.js";
import { tableToBegin } from "../train/run_table.js";
import { findTokenizer } from "../train/run_tokenizer.js";
import { SharedRuns } from "../train/shared_runs.js";
import type { Arm, ArmRun } from "./arm.js";
import { runEvaluations } from "./arm_run.js";
import { checkArguments } from "./compare_arguments.js";
import { withRecipe } from "./derive.js";
import { recordedEnvironments } from "./environment.js";
import { forgetEvaluation } from "./evaluation_record.js";
import { renderMarkdown } from "./markdown.js";
import { checkMemory } from "./memory.js";
import type { StagedArm } from "./methods.js";
import type { CompareOptions } from "./options.js";
import { renderComparison } from "./page.js";
import { type ComparisonPlan, type Facts, makePlan, readFacts } from "./plan.js";
import { type Comparison, compareRuns, type Results, type StagedResult } from "./readings.js";
import type { CompareReport } from "./report.js";
import { evaluateRun } from "./run_evaluation.js";
import { armResult, Environments, type SeedRecord } from "./run_result.js";
import { ComparisonInterrupted, Runner } from "./runner.js";
import { type StartResult, startModel, testStart } from "./start_model.js";
import { settingsOf, type TuneResults, tuneArms } from "./tune.js";
import { planTuning } from "./tune_runs.js";

/** The files that a comparison writes to `config.out`, beside the folders of its runs. */
export interface CompareFiles {
  readonly html: string;
  readonly markdown: string;
  readonly json: string;
}

/**
 * Trains the model of a config token by token and in stages, with the same seeds, and compares what the runs cost and
 * what they learned. Every run is an ordinary one in a folder of `config.out`, `ARM/seed-N`. Called again, also on
 * another machine, it resumes where it was stopped and does not repeat finished runs: seeds, recipes and arms can be
 * added.
 * @throws TypeError or RangeError for an argument that is wrong
 * @throws ConfigError if the config does not end token by token, or the folder holds runs of another config, of other
 *   data or of another precision, or another process compares in it; ComparisonInterrupted; and what `Trainer` throws
 *
 * @example
 * ```ts
 * import { compare, loadRunConfig } from "nextpatch";
 *
 * const config = await loadRunConfig("config.yaml"); // with stages, and a token-level one last
 * const { comparison, files } = await compare(config, { seeds: [1, 2] });
 * console.log(`${comparison.valLossDelta} nats for ${comparison.ratio.flops} of the FLOPs: ${files.html}`);
 * ```
 */
export async function compare(
  config: RunConfig,
  options: CompareOptions = {},
): Promise<{ comparison: Comparison; files: CompareFiles; report: CompareReport }> {
  const checked = checkArguments(config, options);
  const { log = () => undefined } = checked;
  for (const name of checked.recipes ?? []) log(recipeText(name, withRecipe(config, name)));
  const facts = await readFacts(config, checked);
  const plan = makePlan(config, facts, checked);
  const tasks = checked.tasks === undefined ? null : await readTasks(checked.tasks);
  if (tasks !== null && findTokenizer(config, false) === null) {
    throw new ConfigError("tasks: expected data with its tokenizer.json beside it, to score tasks, but received none");
  }
  const owned = await ownFolder(config.out, "compare.lock", "a comparison");
  try {
    const shared = await SharedRuns.join(config);
    try {
      await checkMemory(plan.arms, shared.share);
      const result = await comparePlanned(config, checked, facts, plan, tasks, shared);
      await shared.end();
      return result;
    } catch (error) {
      // After another error the other ranks are not waited for.
      if (error instanceof ComparisonInterrupted) await shared.end();
      throw error;
    } finally {
      shared.dispose();
    }
  } finally {
    await owned.release();
  }
}

async function comparePlanned(
  config: RunConfig,
  options: CompareOptions,
  facts: Facts,
  planned: ComparisonPlan,
  tasks: ReadItems | null,
  shared: SharedRuns,
): ReturnType<typeof compare> {
  const { log = () => undefined, onProgress = () => undefined, onRun = () => undefined, signal } = options;
  const { availableTokens: trainTokens, heldOutTokens: valTokens } = facts;
  let plan = planned;
  const environment = await readEnvironment(Device.open(config.device as DeviceSpec), {
    precision: config.precision,
    ranks: shared.share.size,
    trainTokens,
    valTokens,
    productTable: (await tableToBegin(config))?.sha256 ?? null,
  });
  const runner = new Runner({ environment, log, onProgress, onRun, signal, shared });
  let tune: TuneResults | undefined;
  if (options.tune === undefined) {
    runner.expect(plan.runs);
  } else {
    const untuned = plan;
    const common = { config, ...facts, seeds: options.seeds ?? null };
    const tuning = planTuning(common, plan, options.tune);
    runner.expect([...tuning.flatMap(({ grid }) => grid), ...untuned.runs]);
    tune = await tuneArms(tuning, runner, log);
    plan = makePlan(config, facts, options, settingsOf(tune));
    runner.replace(untuned.runs, plan.runs);
  }
  for (const run of plan.runs) await runner.check(run);
  const start = await testedStart(plan, config, runner, tasks);
  const records = await finishRuns(plan, runner, tasks);
  const comparison = compareRuns({ ...results(plan, options, tune, records), ...(start && { start }) });
  const report = { comparison, plan, config };
  return { comparison, files: await writeFiles(report), report };
}

/** Tests the model that the runs continue; null: they begin with random weights. */
async function testedStart(
  { baseline }: ComparisonPlan,
  config: RunConfig,
  runner: Runner,
  tasks: ReadItems | null,
): Promise<StartResult | null> {
  const start = startModel(config);
  if (start === null) return null;
  // What was measured before the first run began is of whatever model was there then.
  if (!(await runner.check(baseline.runs[0]!)).begun) await forgetEvaluation(start);
  return testStart(start, { tasks, onProgress: runner.testing(null) });
}

/** Trains and tests every run. */
async function finishRuns(
  plan: ComparisonPlan,
  runner: Runner,
  tasks: ReadItems | null,
): Promise<ReadonlyMap<ArmRun, SeedRecord>> {
  const records = new Map<ArmRun, SeedRecord>();
  for (const run of plan.runs) {
    await runner.train(run);
    const evaluation = await evaluateRun(run, { tasks, onProgress: runner.testing(run) });
    const environments = await recordedEnvironments(run.config.out);
    const lines = await runEvaluations(run);
    records.set(run, { seed: run.seed, lines, evaluation, environments });
  }
  return records;
}

/** The results of all arms, each over its seeds. */
function results(
  { baseline, methods, sweep, seeds, parameters }: ComparisonPlan,
  options: CompareOptions,
  tune: TuneResults | undefined,
  records: ReadonlyMap<ArmRun, SeedRecord>,
): Results {
  const of = (arm: Arm) => arm.runs.map((run) => records.get(run)!);
  const environments = new Environments(of(baseline), [...records.values()]);
  const cache = new Map<StagedArm, StagedResult>();
  const staged = (arm: StagedArm): StagedResult => {
    const { patchSize, fraction, stageCosts: stages } = arm;
    const found = cache.get(arm) ?? { ...armResult(of(arm), environments), patchSize, fraction, stages };
    cache.set(arm, found);
    return found;
  };
  return {
    seeds,
    parameters,
    baseline: armResult(of(baseline), environments),
    methods: Object.fromEntries(
      methods.map(({ key, run, equalCost, atBaselineRate }) => [
        key,
        {
          run: staged(run),
          equalCost: equalCost && staged(equalCost),
          atBaselineRate: atBaselineRate && staged(atBaselineRate),
        },
      ]),
    ),
    recipes: options.recipes !== undefined,
    ...(tune && { tune }),
    ...(options.sweep && { sweep: sweep.map(staged) }),
    environments: environments.list,
  };
}

/** Writes the pages and the raw numbers. */
async function writeFiles(report: CompareReport): Promise<CompareFiles> {
  const { out } = report.config;
  const files = {
    html: join(out, "comparison.html"),
    markdown: join(out, "comparison.md"),
    json: join(out, "comparison.json"),
  };
  await writeText(files.json, `${JSON.stringify(report.comparison)}\n`);
  await writeText(files.markdown, renderMarkdown(report));
  await writeText(files.html, renderComparison(report));
  return files;
}
