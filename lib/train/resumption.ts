/** Where a run goes on: from its newest intact checkpoint, or from an earlier one with another config. */
import { join } from "node:path";
import { show } from "../arguments.js";
import type { RunConfig } from "../config/config.js";
import { asWritten } from "../config/problems.js";
import { inputLimits } from "../disk/input_limits.js";
import { parseJson } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import { ConfigError } from "../errors.js";
import { abandonAfter } from "./abandon.js";
import { checkpointName } from "./checkpoint.js";
import { changedKeys, type DecisiveValues, decisiveValues, hashOfValues, howToChange } from "./config_hash.js";
import { countedFrom, inWords, type RunChange, readChanges, valuesAt, writeChanges } from "./run_changes.js";
import { stepOf } from "./run_checkpoints.js";
import { RunFolder } from "./run_folder.js";
import type { ExpectedState, TrainerState } from "./trainer_state.js";

/** How to go on. */
export interface ResumeOptions {
  /** The step of the checkpoint; null: the newest. */
  readonly from: number | null;
  /** Whether keys may change that alter what the run's steps mean. */
  readonly force: boolean;
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
  const written = decisiveValues(await readWritten(join(config.out, "config.json")));
  const changes = await readChanges(config.out);
  const values = decisiveValues(config);
  if (options.from !== null) return prepareReturn(folder, config, { written, changes, values }, options, options.from);
  const changed = changedKeys(written, values);
  if (changed.length > 0) throw unchangeable(config.out, changed);
  const newest = await folder.checkpoints.newest(options.log);
  if (newest !== null) await folder.checkpoints.point(newest);
  return {
    folder,
    checkpoint: newest && folder.checkpoints.path(newest),
    expected: expectedAt(values, changes, newest === null ? 0 : stepOf(newest)),
    notes: changes.flatMap(inWords),
    commit: () => folder.writeConfig(config),
  };
}

interface Known {
  readonly written: DecisiveValues;
  readonly changes: readonly RunChange[];
  readonly values: DecisiveValues;
}

async function prepareReturn(
  folder: RunFolder,
  config: RunConfig,
  { written, changes, values }: Known,
  { force, log }: ResumeOptions,
  step: number,
): Promise<Resumption> {
  const name = checkpointName(step);
  await folder.checkpoints.check(name, log);
  const before = valuesAt(written, changes, step);
  const changed = changedKeys(before, values);
  checkChanges(changed, force);
  const parsed = (of: DecisiveValues, key: string): unknown => (of.has(key) ? JSON.parse(of.get(key)!) : undefined);
  const entries = changed.map((key) => [key, { before: parsed(before, key), after: parsed(values, key) }] as const);
  const [change, earlier] = [
    { step, changed: Object.fromEntries(entries) },
    changes.filter((each) => each.step < step),
  ];
  inWords(change).forEach(log);
  const forced = changed.some((key) => howToChange(key) === "forced");
  return {
    folder,
    checkpoint: folder.checkpoints.path(name),
    expected: { ...expectedAt(written, changes, step), ...(forced && { countedFrom: null }) },
    notes: [...earlier, change].flatMap(inWords),
    async commit(state) {
      const { tokens, positions } = state!;
      const time = new Date().toISOString();
      const moved = await abandonAfter(folder, state!, { from: name, time, changed: change.changed });
      if (moved !== null) log(`what the run did after step ${step} is in ${moved}`);
      const noted = entries.length === 0 ? [] : [{ ...change, tokens, positions, time }];
      await writeChanges(folder.path, [...earlier, ...noted]);
      await folder.writeConfig(config);
    },
  };
}

function expectedAt(now: DecisiveValues, changes: readonly RunChange[], step: number): ExpectedState {
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
  if (forced.length === 0 || force) return;
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

/** Reads the config that a run wrote. */
async function readWritten(path: string): Promise<object> {
  let config: unknown;
  try {
    config = parseJson(await readText(path, inputLimits.smallJson));
  } catch (cause) {
    throw new ConfigError(`${path}: cannot be read: ${(cause as Error).message}`, { cause });
  }
  if (typeof config === "object" && config !== null) return config;
  throw new ConfigError(`${path}: expected a run's config but received ${show(config)}`);
}
