/** What a finished run's model is tested for: its loss on all held-out data, what it has learned besides, and tasks. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { entriesOf, patternsOf } from "../config/data_entries.js";
import { Tokenizer } from "../data/tokenizer.js";
import { TOKENIZER_JSON } from "../data/tokenizer_files.js";
import type { DeviceSpec } from "../device.js";
import type { TaskScores } from "../evaluate/accuracy.js";
import { type Activations, activations } from "../evaluate/activations.js";
import { type ClozeScores, cloze } from "../evaluate/cloze.js";
import type { ReadItems } from "../evaluate/read_items.js";
import { score } from "../evaluate/score.js";
import { evaluate } from "../evaluate.js";
import { Llama } from "../nn/llama.js";
import { type EvaluationRecord, readRecord, type Tested, writeRecord } from "./evaluation_record.js";
import { type Sample, samplesOf } from "./samples.js";

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
  /** How often it finds how a held-out text goes on; absent if that is too short for an item. */
  readonly cloze?: ClozeScores;
  /** Its continuations of held-out texts, those of the first seed; absent if there is no tokenizer. */
  readonly samples?: readonly Sample[];
  /** Scores by task, as of `score`; with `tasks` only. */
  readonly tasks?: Readonly<Record<string, TaskScores>>;
}

export interface EvaluateRunOptions {
  /** What is scored; null: nothing. */
  readonly tasks: ReadItems | null;
  /** Called with what is being done, how much of it is done and the total. What it throws ends the work. */
  readonly onProgress: (what: string, done: number, of: number) => void;
}

type OnProgress = EvaluateRunOptions["onProgress"];

/**
 * Tests the model in a run's folder, as far as that has not been done.
 * @throws what `evaluate`, `activations`, `generateTexts` and `score` throw
 */
export async function evaluateRun(run: Tested, options: EvaluateRunOptions): Promise<FinalLoss & ArmEvaluation> {
  const { tasks } = options;
  const before = await readRecord(run);
  const itemsSha256 = tasks && createHash("sha256").update(JSON.stringify(tasks.items)).digest("hex");
  const isScored = tasks === null || before.tasks?.itemsSha256 === itemsSha256;
  const { valLoss, activations, cloze, samples } = before;
  const isTested = [valLoss, activations, cloze, samples].every((result) => result !== undefined);
  let results = before;
  if (!isTested || !isScored) {
    results = await withModel(run, async (model) => {
      const tested = await testModel(run, model, before, options.onProgress);
      return isScored
        ? tested
        : { ...tested, tasks: { itemsSha256: itemsSha256!, scores: await scores(run, model, options) } };
    });
    await writeRecord(run, results);
  }
  return {
    ...finalLoss(results),
    activations: results.activations!,
    ...(results.cloze && { cloze: results.cloze }),
    ...(results.samples!.length > 0 && { samples: results.samples! }),
    ...(tasks !== null && { tasks: results.tasks!.scores }),
  };
}

/** The loss that is recorded of a run; null: none is. */
export async function recordedLoss(run: Tested): Promise<FinalLoss | null> {
  const results = await readRecord(run);
  return results.valLoss === undefined ? null : finalLoss(results);
}

/** Computes and records the loss of the model in a run's folder, alone. @throws what `evaluate` throws */
export async function recordLoss(run: Tested, onProgress: OnProgress): Promise<void> {
  await writeRecord(run, await withModel(run, (model) => lossOf(run, model, onProgress)));
}

/** Records that a run has no model, since it diverged. */
export async function recordDivergence(run: Tested): Promise<void> {
  await writeRecord(run, { valLoss: null });
}

function finalLoss({ valLoss, bitsPerByte }: EvaluationRecord): FinalLoss {
  return {
    valLoss: valLoss ?? Number.NaN,
    ...(bitsPerByte !== undefined && { bitsPerByte: bitsPerByte ?? Number.NaN }),
  };
}

async function withModel<T>(run: Tested, use: (model: Llama) => Promise<T>): Promise<T> {
  const { device: spec, precision } = run.config;
  const model = await Llama.load(folderOf(run), { device: spec as DeviceSpec, precision });
  try {
    return await use(model);
  } finally {
    model.dispose();
    model.device.trim(); // the next run opens the device again
  }
}

/** Tests a model for what a record lacks; tasks are not part of it. */
async function testModel(
  run: Tested,
  model: Llama,
  before: EvaluationRecord,
  onProgress: OnProgress,
): Promise<EvaluationRecord> {
  const file = tokenizerOf(run);
  const found = file === null ? null : await Tokenizer.fromFile(file);
  const tokenizer = found && found.vocabSize <= model.config.vocab_size ? found : null;
  const data = heldOut(run.config);
  const told = (what: string) => ({ onProgress: (done: number, of: number) => onProgress(what, done, of) });
  const written = async () => (tokenizer ? samplesOf(model, tokenizer, { ...data, ...told("sample") }) : []);
  const { patchSize: _, ...places } = data;
  return {
    ...before,
    ...(before.valLoss === undefined && (await lossOf(run, model, onProgress))),
    activations: before.activations ?? (await activations(model, data)),
    cloze: before.cloze === undefined ? await cloze(model, { ...places, ...told("cloze token") }) : before.cloze,
    samples: before.samples ?? (await written()),
  };
}

async function lossOf({ config }: Tested, model: Llama, onProgress: OnProgress): Promise<FinalLoss> {
  const { loss, bitsPerByte } = await evaluate(model, {
    ...heldOut(config),
    onProgress: (done, of) => onProgress("held-out sequence", done, of),
  });
  return { valLoss: loss, ...(bitsPerByte !== undefined && { bitsPerByte }) };
}

async function scores(run: Tested, model: Llama, { tasks, onProgress }: EvaluateRunOptions) {
  const tokenizer = await Tokenizer.fromFile(tokenizerOf(run)!);
  const { items, nameOf } = tasks!;
  const scored = (done: number, of: number) => onProgress("scoring token", done, of);
  return (await score(model, tokenizer, items, { nameOf, onProgress: scored })).tasks;
}

const folderOf = ({ config, model = join(config.out, "model") }: Tested) => model;

function tokenizerOf(run: Tested): string | null {
  const beside = join(folderOf(run), TOKENIZER_JSON);
  return run.tokenizer === undefined ? (existsSync(beside) ? beside : null) : run.tokenizer;
}

/** The held-out data of a run, token by token, as `evaluate` and `activations` take it. */
function heldOut({ data, batch }: Tested["config"]) {
  return { data: patternsOf(entriesOf(data.val!)), patchSize: 1, sequenceLength: batch.sequenceLength };
}
