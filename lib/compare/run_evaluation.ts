/** What a finished run's model is tested for: its loss on all held-out data, the neurons that it activates, and tasks. */
import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { entriesOf } from "../config/data_entries.js";
import { Tokenizer } from "../data/tokenizer.js";
import { TOKENIZER_JSON } from "../data/tokenizer_files.js";
import type { DeviceSpec } from "../device.js";
import { writeText } from "../disk/durable.js";
import type { TaskScores } from "../evaluate/accuracy.js";
import { type Activations, activations } from "../evaluate/activations.js";
import type { ReadItems } from "../evaluate/read_items.js";
import { score } from "../evaluate/score.js";
import { evaluate } from "../evaluate.js";
import { Llama } from "../nn/llama.js";
import type { ArmRun } from "./arm.js";
import { readRunJson } from "./run_json.js";

/** The loss of a final model. */
export interface FinalLoss {
  /** Token-level loss on all held-out tokens, in nats per token; NaN: it diverged. */
  readonly valLoss: number;
  /** The same in bits per byte of text; absent where the number of bytes is not known. */
  readonly bitsPerByte?: number;
}

/** What a final model is and can do besides its loss. */
export interface ArmEvaluation {
  /** Active neurons, token by token, on held-out data. */
  readonly activations: Activations;
  /** Scores by task, as of `score`; with `tasks` only. */
  readonly tasks?: Readonly<Record<string, TaskScores>>;
}

/** A run's `evaluation.json`: a comparison that is made again tests no model again. A loss of null is NaN. */
interface Recorded {
  readonly valLoss?: number | null;
  readonly bitsPerByte?: number | null;
  readonly activations?: Activations;
  readonly tasks?: { readonly itemsSha256: string; readonly scores: Readonly<Record<string, TaskScores>> };
}

const recordOf = ({ config }: ArmRun) => join(config.out, "evaluation.json");

async function recorded(run: ArmRun): Promise<Recorded> {
  return ((await readRunJson(recordOf(run), "a run's evaluation")) as Recorded | null) ?? {};
}

async function record(run: ArmRun, results: Recorded): Promise<void> {
  await writeText(recordOf(run), `${JSON.stringify(results)}\n`);
}

/** Removes the results of a run that is about to be trained: they are another model's. */
export async function forgetEvaluation(run: ArmRun): Promise<void> {
  await rm(recordOf(run), { force: true });
}

export interface EvaluateRunOptions {
  /** What is scored; null: nothing. */
  readonly tasks: ReadItems | null;
  /** Called with what is being done, how much of it is done and the total. What it throws ends the work. */
  readonly onProgress: (what: string, done: number, of: number) => void;
}

/** Tests the model in a run's folder, as far as that has not been done. @throws what `evaluate`, `activations` and `score` throw */
export async function evaluateRun(run: ArmRun, options: EvaluateRunOptions): Promise<FinalLoss & ArmEvaluation> {
  const { tasks, onProgress } = options;
  const before = await recorded(run);
  const itemsSha256 = tasks && createHash("sha256").update(JSON.stringify(tasks.items)).digest("hex");
  const isScored = tasks === null || before.tasks?.itemsSha256 === itemsSha256;
  let results = before;
  if (before.valLoss === undefined || before.activations === undefined || !isScored) {
    results = await withModel(run, async (model) => {
      const loss = before.valLoss === undefined ? await lossOf(run, model, onProgress) : {};
      const active = before.activations ?? (await activeNeurons(run, model));
      const scored = isScored ? before.tasks : { itemsSha256: itemsSha256!, scores: await scores(run, model, options) };
      return { ...before, ...loss, activations: active, ...(scored && { tasks: scored }) };
    });
    await record(run, results);
  }
  return {
    ...finalLoss(results),
    activations: results.activations!,
    ...(tasks !== null && { tasks: results.tasks!.scores }),
  };
}

/** The loss that is recorded of a run; null: none is. */
export async function recordedLoss(run: ArmRun): Promise<FinalLoss | null> {
  const results = await recorded(run);
  return results.valLoss === undefined ? null : finalLoss(results);
}

/** Computes and records the loss of the model in a run's folder, alone. @throws what `evaluate` throws */
export async function recordLoss(run: ArmRun, onProgress: EvaluateRunOptions["onProgress"]): Promise<void> {
  await record(run, await withModel(run, (model) => lossOf(run, model, onProgress)));
}

/** Records that a run has no model, since it diverged. */
export async function recordDivergence(run: ArmRun): Promise<void> {
  await record(run, { valLoss: null });
}

function finalLoss({ valLoss, bitsPerByte }: Recorded): FinalLoss {
  return {
    valLoss: valLoss ?? Number.NaN,
    ...(bitsPerByte !== undefined && { bitsPerByte: bitsPerByte ?? Number.NaN }),
  };
}

async function withModel<T>({ config }: ArmRun, use: (model: Llama) => Promise<T>): Promise<T> {
  const { device: spec, precision } = config;
  const model = await Llama.load(join(config.out, "model"), { device: spec as DeviceSpec, precision });
  try {
    return await use(model);
  } finally {
    model.dispose();
    model.device.trim(); // the next run opens the device again
  }
}

async function lossOf(
  { config }: ArmRun,
  model: Llama,
  onProgress: EvaluateRunOptions["onProgress"],
): Promise<FinalLoss> {
  const { loss, bitsPerByte } = await evaluate(model, {
    ...heldOut(config),
    onProgress: (done, of) => onProgress("held-out sequence", done, of),
  });
  return { valLoss: loss, ...(bitsPerByte !== undefined && { bitsPerByte }) };
}

async function activeNeurons({ config }: ArmRun, model: Llama): Promise<Activations> {
  return activations(model, heldOut(config));
}

async function scores({ config }: ArmRun, model: Llama, { tasks, onProgress }: EvaluateRunOptions) {
  const tokenizer = await Tokenizer.fromFile(join(config.out, "model", TOKENIZER_JSON));
  const { items, nameOf } = tasks!;
  const scored = (done: number, of: number) => onProgress("scoring token", done, of);
  return (await score(model, tokenizer, items, { nameOf, onProgress: scored })).tasks;
}

/** The held-out data of a run, token by token, as `evaluate` and `activations` take it. */
function heldOut({ data, batch }: ArmRun["config"]) {
  const shards = entriesOf(data.val!).map(({ path, format }) => ({ path, ...(format && { format }) }));
  return { data: shards, patchSize: 1, sequenceLength: batch.sequenceLength };
}
