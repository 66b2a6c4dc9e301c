import { join } from "node:path";
import { Arguments } from "../arguments.js";
import type { RunConfig } from "../config/config.js";
import { writeText } from "../disk/durable.js";
import { ownFolder } from "../disk/owned_folder.js";
import { ConfigError } from "../errors.js";
import { type ReadItems, readTasks } from "../evaluate/read_items.js";
import { findTokenizer } from "../train/run_tokenizer.js";
import type { Trainer } from "../train/trainer.js";
import { type ArmEvaluation, evaluateArm, forgetEvaluation } from "./arm_evaluation.js";
import { type ArmState, armEvaluations, armState, runArm } from "./arm_run.js";
import { deriveConfig } from "./derive.js";
import {
  checkSameEnvironment,
  type Environment,
  readEnvironment,
  recordEnvironment,
  recordedEnvironment,
} from "./environment.js";
import { renderMarkdown } from "./markdown.js";
import { renderComparison } from "./page.js";
import { type Arm, type ComparisonPlan, type PlanOptions, planComparison, type StagedArm } from "./plan.js";
import { type CompareProgress, ProgressCounter } from "./progress.js";
import { type Comparison, compareRuns, type RunResult, runResult, type StagedResult } from "./readings.js";
import type { CompareReport } from "./report.js";
import { checkSweep } from "./sweep.js";

/** What is compared beyond the two runs, and callbacks. */
export interface CompareOptions extends PlanOptions {
  /** JSONL files of items to score each run's final model on, as `nextpatch eval --tasks` does. */
  readonly tasks?: readonly string[];
  /** Called after every step, and while a model is scored. */
  readonly onProgress?: (progress: CompareProgress) => void;
  /** Called with the trainer of each run before its first step, to ask it for a checkpoint or for where it is. */
  readonly onRun?: (trainer: Trainer) => void;
  /** Stops the work after the current step; the next call resumes there. */
  readonly signal?: AbortSignal;
}

/** The files that a comparison writes to `config.out`, beside the folders of its runs. */
export interface CompareFiles {
  readonly html: string;
  readonly markdown: string;
  readonly json: string;
}

/** A comparison that was stopped before its end. */
export class ComparisonInterrupted extends Error {
  override name = "ComparisonInterrupted";
}

/**
 * Trains the model of a config token by token and in its two stages, from the same seed on the same tokens, and
 * compares what the runs cost and what they learned. Every run is an ordinary one in a folder of `config.out`:
 * `baseline`, `patch`, `equal-cost`, `sweep/...`. Called again, it resumes where it was stopped and does not repeat
 * finished runs.
 * @throws TypeError or RangeError for an argument that is wrong
 * @throws ConfigError if the config does not have two stages, or the folder holds runs of another config or machine, or
 *   another process compares in it; ComparisonInterrupted; and what `Trainer` throws
 */
export async function compare(
  config: RunConfig,
  options: CompareOptions = {},
): Promise<{ comparison: Comparison; files: CompareFiles; report: CompareReport }> {
  checkArguments(config, options);
  const plan = await planComparison(config, options);
  const tasks = options.tasks === undefined ? null : await readTasks(options.tasks);
  if (tasks !== null && findTokenizer(config, false) === null) {
    throw new ConfigError("tasks: expected data with its tokenizer.json beside it, to score tasks, but received none");
  }
  const owned = await ownFolder(config.out, "compare.lock", "a comparison");
  try {
    return await comparePlanned(config, plan, tasks, options);
  } finally {
    await owned.release();
  }
}

async function comparePlanned(
  config: RunConfig,
  plan: ComparisonPlan,
  tasks: ReadItems | null,
  options: CompareOptions,
): ReturnType<typeof compare> {
  const { availableTokens: trainTokens, heldOutTokens: valTokens } = plan;
  const environment = await readEnvironment(config, { trainTokens, valTokens });
  const states = new Map<Arm, ArmState>();
  for (const arm of plan.arms) {
    states.set(arm, await armState(arm));
    const before = await recordedEnvironment(arm.config.out);
    if (before) checkSameEnvironment(arm.config.out, before, environment);
  }
  const evaluations = await runArms(plan, states, environment, tasks, options);

  const results = new Map<Arm, RunResult>();
  for (const arm of plan.arms) results.set(arm, runResult(await armEvaluations(arm), evaluations.get(arm)!));
  const staged = (arm: StagedArm): StagedResult => {
    const { patchSize, fraction } = arm;
    return { ...results.get(arm)!, patchSize, fraction };
  };
  const comparison = compareRuns({
    baseline: results.get(plan.baseline)!,
    patch: staged(plan.patch),
    equalCost: plan.equalCost && staged(plan.equalCost),
    ...(options.sweep && { sweep: plan.sweep.map(staged) }),
  });
  const environments = await Promise.all(plan.arms.map(async (arm) => (await recordedEnvironment(arm.config.out))!));
  const report = { comparison, plan, config, environments };
  return { comparison, files: await writeFiles(report), report };
}

function checkArguments(config: RunConfig, options: CompareOptions): void {
  const check = new Arguments("compare");
  check.object("config", config);
  const { equalCost = false, sweep, tasks, log, onProgress, onRun, signal } = check.object("options", options);
  check.boolean("equalCost", equalCost);
  if (sweep !== undefined) checkSweep(check, "sweep", sweep);
  if (tasks !== undefined) check.strings("tasks", tasks, 1);
  check.callback("log", log);
  check.callback("onProgress", onProgress);
  check.callback("onRun", onRun);
  check.signal("signal", signal);
  deriveConfig(config, {}, "config"); // reports every problem of an object that is not a RunConfig
}

async function runArms(
  plan: ComparisonPlan,
  states: ReadonlyMap<Arm, ArmState>,
  environment: Environment,
  tasks: ReadItems | null,
  { log = () => undefined, onProgress = () => undefined, onRun = () => undefined, signal }: CompareOptions,
): Promise<Map<Arm, ArmEvaluation>> {
  const counter = new ProgressCounter(plan.arms);
  const evaluations = new Map<Arm, ArmEvaluation>();
  const evaluate = async (arm: Arm): Promise<void> => {
    const scored = (done: number, of: number): void => {
      if (signal?.aborted) throw new ComparisonInterrupted(`interrupted while the run ${arm.label} was scored`);
      onProgress(counter.scored(arm, done, of));
    };
    evaluations.set(arm, await evaluateArm(arm, { tasks, onProgress: scored }));
  };
  for (const arm of plan.arms) {
    const { begun, finished } = states.get(arm)!;
    if (finished) {
      log(`${arm.config.out} holds the finished run: ${arm.label}`);
      counter.skip(arm);
      await evaluate(arm);
      continue;
    }
    if (signal?.aborted) throw new ComparisonInterrupted(`interrupted before the run ${arm.label}`);
    if ((await recordedEnvironment(arm.config.out)) === null) await recordEnvironment(arm.config.out, environment);
    await forgetEvaluation(arm);
    log(`${arm.config.out}: ${arm.label}`);
    let last = 0;
    const done = await runArm(arm, {
      resume: begun,
      log,
      signal,
      onOpen: (trainer) => {
        counter.open(arm, trainer.step);
        onRun(trainer);
      },
      onStep: (line) => {
        last = line.step;
        onProgress(counter.step(arm, line));
      },
    });
    if (!done) throw new ComparisonInterrupted(`interrupted in the run ${arm.label} at step ${last} of ${arm.steps}`);
    await evaluate(arm);
  }
  return evaluations;
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
