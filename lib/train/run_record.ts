/** What a run keeps in its folder beside checkpoints: begun, or found again where the run goes on. */
import type { RunConfig } from "../config/config.js";
import type { Device } from "../device.js";
import type { ModelFolderExtras } from "../nn/model_folder.js";
import { checkPlace, type LoadedTable } from "./product_table.js";
import { prepareResumption } from "./resumption.js";
import { keepBase } from "./run_base.js";
import { checkRunData, type RunData, readRunData, recordRunData, restoreRunData } from "./run_data.js";
import { RunFolder } from "./run_folder.js";
import { RunMetrics } from "./run_metrics.js";
import { type PlannedRun, resolverOf } from "./run_plan.js";
import { checkRecorded, keepTable, tableToBegin, tableToResume } from "./run_table.js";
import { keepTokenizer } from "./run_tokenizer.js";
import type { CheckedOptions } from "./trainer_options.js";
import { readTrainerState, type TrainerState } from "./trainer_state.js";

/** Where a run begins or goes on: all ranks know it. */
export interface RunStart {
  /** The checkpoint's folder; null: from the first step. */
  readonly checkpoint: string | null;
  readonly state: TrainerState | null;
  /** SHA-256 of the table that the products' algorithms are from; null: the library's choice. */
  readonly productTable: string | null;
}

export const noStart: RunStart = { checkpoint: null, state: null, productTable: null };

export interface RunRecord {
  readonly folder: RunFolder;
  readonly start: RunStart;
  readonly table: LoadedTable | null;
  readonly metrics: RunMetrics;
  readonly extras: ModelFolderExtras;
  /** The record of the run's data; null: there is none. */
  readonly data: string | null;
  /** Changes of the run's config, in words. */
  readonly notes: readonly string[];
  /** Makes a resumption so, once everything else is known to be right. */
  readonly commit: (state: TrainerState | null) => Promise<void>;
}

interface Opened {
  readonly resume: boolean;
  readonly device: Device;
  readonly data: RunData;
  readonly planned: PlannedRun;
}

/** @throws ConfigError, DataError, CheckpointError */
export async function openRecord(
  config: RunConfig,
  { from, force, learningRate, log }: CheckedOptions,
  { resume, device, data, planned: { stages, tokenizer, shape } }: Opened,
): Promise<RunRecord> {
  const resolve = resolverOf(data, shape);
  const resumption = { from, force, ownRates: learningRate !== undefined, resolve, log };
  const begun = resume ? await prepareResumption(config, resumption) : null;
  const table = await (begun ? tableToResume(config) : tableToBegin(config));
  if (table !== null) checkPlace(table, device);
  const { folder, checkpoint } = begun ?? { folder: await RunFolder.create(config), checkpoint: null };
  if (begun === null) await keepTable(folder.path, table);
  if (checkpoint !== null && !force) await restoreRunData(folder.path, checkpoint, log);
  if (begun === null || force) await recordRunData(folder.path, data);
  else await checkRunData(folder.path, data, log);
  const kept = tokenizer && (await keepTokenizer(config, tokenizer));
  const base = await keepBase(config);
  const state =
    begun === null || checkpoint === null ? null : await readTrainerState(checkpoint, begun.expected, stages);
  if (state !== null) checkRecorded(folder.path, table, state.productTable);
  const metrics = await RunMetrics.open(folder, state && { step: state.step, bytes: state.metricsBytes }, log);
  return {
    folder,
    start: { checkpoint, state, productTable: table?.sha256 ?? null },
    table,
    metrics,
    extras: {
      ...(kept && { tokenizer: { ...kept, maxLength: shape.max_position_embeddings } }),
      ...(base !== null && { base }),
    },
    data: await readRunData(folder.path),
    notes: begun?.notes ?? [],
    commit: async (reached) => begun?.commit(reached),
  };
}
