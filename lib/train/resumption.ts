/** Where a run goes on: from its newest intact checkpoint, or from an earlier one with another config. */
import { join } from "node:path";
import type { RunConfig } from "../config/config.js";
import { asWritten } from "../config/problems.js";
import type { ResolvedStage } from "../config/stages.js";
import { ConfigError } from "../errors.js";
import { abandonAfter } from "./abandon.js";
import { checkExtension, checkNotShorter } from "./check_length.js";
import { checkpointName } from "./checkpoint.js";
import {
  changedKeys,
  type DecisiveValues,
  decisiveValues,
  hashOfValues,
  howToChange,
  isLength,
} from "./config_hash.js";
import { countedFrom, inWords, type RunChange, valuesAt, writeChanges } from "./run_changes.js";
import { stepOf } from "./run_checkpoints.js";
import { RunFolder } from "./run_folder.js";
import type { ExpectedState, TrainerState } from "./trainer_state.js";
import { configOf, readWrittenRun, type WrittenRun, writtenAt } from "./written_run.js";

/** How to go on. */
export interface ResumeOptions {
  /** The step of the checkpoint; null: the newest. */
  readonly from: number | null;
  /** Whether keys may change that alter what the run's steps mean. */
  readonly force: boolean;
  /** Whether the rates are the caller's, and not the schedule's. */
  readonly ownRates: boolean;
  /** Resolves a config's stages with the run's data and model. */
  readonly resolve: (config: RunConfig) => readonly ResolvedStage[];
  readonly log: (message: string) => void;
}

/** A run that is about to go on. Nothing of it has been changed yet that could not be used as before. */
export interface Resumption {
  readonly folder: RunFolder;
  /** The checkpoint's folder; null: the run has none yet. */
  readonly checkpoint: string | null;
  /** What the checkpoint's state must have. */
  readonly expected: ExpectedState;
  /** The changes of the run's config so far, in words. */
  readonly notes: readonly string[];
  /**
   * Makes it so, once everything else is known to be right: what is from after the checkpoint moves to `abandoned/`, if it
   * is an earlier one, and the run's config becomes the new one.
   */
  readonly commit: (state: TrainerState | null) => Promise<void>;
}

/**
 * Prepares the run in `config.out` to go on.
 * @throws ConfigError if there is no run, or its config may not change so
 * @throws CheckpointError if the checkpoint is missing or damaged, or if there should be one and none is intact
 */
export async function prepareResumption(config: RunConfig, options: ResumeOptions): Promise<Resumption> {
  const folder = await RunFolder.reopen(config);
  const run = await readWrittenRun(config.out);
  if (options.from !== null) return prepareReturn(folder, config, run, options, options.from);
  const changed = changedKeys(run.values, decisiveValues(config));
  if (!changed.every(isLength))
    throw unchangeable(
      config.out,
      changed.filter((key) => !isLength(key)),
    );
  const newest = await folder.checkpoints.newest(options.log);
  const step = newest === null ? 0 : stepOf(newest);
  if (changed.length > 0) {
    const stages = stagesOf(config, run.values, options);
    checkNotShorter(stages);
    await checkExtension(folder.checkpoints, stages, step, "--resume", options);
  }
  if (newest !== null) await folder.checkpoints.point(newest);
  const change = changeAt(step, changed, run.values, config);
  for (const each of inWords(change)) options.log(each);
  return {
    folder,
    checkpoint: newest && folder.checkpoints.path(newest),
    expected: expectedAt(run, step),
    notes: [...run.changes, change].flatMap(inWords),
    async commit(state) {
      if (state !== null && changed.length > 0) await writeChanges(folder.path, [...run.changes, dated(change, state)]);
      await folder.writeConfig(config);
    },
  };
}

async function prepareReturn(
  folder: RunFolder,
  config: RunConfig,
  run: WrittenRun,
  options: ResumeOptions,
  step: number,
): Promise<Resumption> {
  const { force, log } = options;
  const name = checkpointName(step);
  await folder.checkpoints.check(name, log);
  const before = writtenAt(run, step);
  const changed = changedKeys(before, decisiveValues(config));
  checkChanges(changed, force);
  if (!force && changed.some(isLength)) {
    await checkExtension(folder.checkpoints, stagesOf(config, before, options), step, "--from", options);
  }
  const change = changeAt(step, changed, before, config);
  const earlier = run.changes.filter((each) => each.step < step);
  for (const each of inWords(change)) log(each);
  const forced = changed.some((key) => howToChange(key) === "forced");
  return {
    folder,
    checkpoint: folder.checkpoints.path(name),
    expected: { ...expectedAt(run, step), ...(forced && { countedFrom: null }) },
    notes: [...earlier, change].flatMap(inWords),
    async commit(state) {
      const noted = dated(change, state!);
      const moved = await abandonAfter(folder, state!, { from: name, time: noted.time, changed: change.changed });
      if (moved !== null) log(`what the run did after step ${step} is in ${moved}`);
      await writeChanges(folder.path, changed.length === 0 ? earlier : [...earlier, noted]);
      await folder.writeConfig(config);
    },
  };
}

/** The values of changed keys, before a step and after it. */
function changeAt(step: number, changed: readonly string[], before: DecisiveValues, config: RunConfig) {
  const after = decisiveValues(config);
  const parsed = (of: DecisiveValues, key: string): unknown => (of.has(key) ? JSON.parse(of.get(key)!) : undefined);
  const entries = changed.map((key) => [key, { before: parsed(before, key), after: parsed(after, key) }] as const);
  return { step, changed: Object.fromEntries(entries) };
}

function dated(change: Pick<RunChange, "step" | "changed">, { tokens, positions }: TrainerState): RunChange {
  return { ...change, tokens, positions, time: new Date().toISOString() };
}

function expectedAt({ values: now, changes }: WrittenRun, step: number): ExpectedState {
  const values = valuesAt(now, changes, step);
  return {
    configHash: hashOfValues(values),
    seed: JSON.parse(values.get("seed") ?? "null") as number,
    countedFrom: countedFrom(changes, step),
  };
}

/** @throws ConfigError for keys that may not change */
function checkChanges(changed: readonly string[], force: boolean): void {
  const fixed = changed.filter((key) => howToChange(key) === "fixed");
  if (fixed.length > 0) {
    throw new ConfigError(
      `--from: ${fixed.map(asWritten).join(", ")}: expected the run's, as the checkpoint's tensors are those of its model and optimizer, ` +
        "but received others; begin a new run with init.from: the checkpoint's folder",
    );
  }
  const forced = changed.filter((key) => howToChange(key) === "forced");
  if (forced.every(isLength) || force) return; // another length is not always another run
  throw new ConfigError(
    `--from: ${forced.map(asWritten).join(", ")}: expected the run's but received others, which alters what its steps mean; ` +
      "--force goes on all the same",
  );
}

function unchangeable(out: string, changed: readonly string[]): ConfigError {
  const path = join(out, "config.json");
  return new ConfigError(
    `--resume: the config differs from the run's in ${changed.map(asWritten).join(", ")}; ` +
      `go on with ${path} as it is, from one of its checkpoints with the changes (--from step-N), ` +
      "or start a new run in another folder",
  );
}

/** A run's stages as they were, and as its config has them now. */
function stagesOf(config: RunConfig, before: DecisiveValues, { resolve }: ResumeOptions) {
  return { before: resolve(configOf(before, config)), after: resolve(config) };
}
