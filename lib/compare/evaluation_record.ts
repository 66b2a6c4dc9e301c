/** A run's `evaluation.json`: a comparison that is made again tests no model again. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { RunConfig } from "../config/config.js";
import { makeFolder, writeText } from "../disk/durable.js";
import type { TaskScores } from "../evaluate/accuracy.js";
import type { Activations } from "../evaluate/activations.js";
import type { ClozeScores } from "../evaluate/cloze.js";
import { readRunJson } from "./run_json.js";
import type { Sample } from "./samples.js";

/** What is tested: the model of a run, or the one that the runs continue. The record is in `config.out`. */
export interface Tested {
  readonly config: RunConfig;
  /** The model's folder. Default: the run's own. */
  readonly model?: string;
  /** Its tokenizer.json; null: there is none. Default: the one beside the model, if there is one. */
  readonly tokenizer?: string | null;
}

/** What is known of a run's model; what is absent has not been tested. */
export interface EvaluationRecord {
  /** Null: NaN. */
  readonly valLoss?: number | null;
  readonly bitsPerByte?: number | null;
  readonly activations?: Activations;
  /** Null: the held-out data is too short for an item. */
  readonly cloze?: ClozeScores | null;
  /** None where there is no tokenizer. */
  readonly samples?: readonly Sample[];
  readonly tasks?: { readonly itemsSha256: string; readonly scores: Readonly<Record<string, TaskScores>> };
}

const recordOf = ({ config }: Tested) => join(config.out, "evaluation.json");

/** @throws ConfigError if it is damaged */
export async function readRecord(run: Tested): Promise<EvaluationRecord> {
  return ((await readRunJson(recordOf(run), "a run's evaluation")) as EvaluationRecord | null) ?? {};
}

export async function writeRecord(run: Tested, results: EvaluationRecord): Promise<void> {
  await makeFolder(run.config.out);
  await writeText(recordOf(run), `${JSON.stringify(results)}\n`);
}

/** Removes the results of a run that is about to be trained: they are another model's. */
export async function forgetEvaluation(run: Tested): Promise<void> {
  await rm(recordOf(run), { force: true });
}
