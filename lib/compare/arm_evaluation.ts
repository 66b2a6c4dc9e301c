/** What a finished arm's model is tested for besides its loss: the neurons that it activates, and tasks. */
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
import { Llama } from "../nn/llama.js";
import type { Arm } from "./plan.js";
import { readRunJson } from "./run_json.js";

/** The results for one arm. */
export interface ArmEvaluation {
  /** Active neurons of its final model, token by token, on held-out data. */
  readonly activations: Activations;
  /** Scores of its final model by task, as of `score`; with `tasks` only. */
  readonly tasks?: Readonly<Record<string, TaskScores>>;
}

/** An arm's `evaluation.json`: a comparison that is made again tests no model again. */
interface Recorded {
  readonly activations: Activations;
  readonly tasks?: { readonly itemsSha256: string; readonly scores: Readonly<Record<string, TaskScores>> };
}

const recordOf = (arm: Arm) => join(arm.config.out, "evaluation.json");

/** Removes the results of an arm that is about to be trained: they are another model's. */
export async function forgetEvaluation(arm: Arm): Promise<void> {
  await rm(recordOf(arm), { force: true });
}

export interface EvaluateArmOptions {
  /** What is scored; null: nothing. */
  readonly tasks: ReadItems | null;
  /** Called with the tokens scored and the total. What it throws ends the work. */
  readonly onProgress: (done: number, of: number) => void;
}

/** Tests the model in an arm's folder, as far as that has not been done. @throws what `score` and `activations` throw */
export async function evaluateArm(arm: Arm, options: EvaluateArmOptions): Promise<ArmEvaluation> {
  const { tasks, onProgress } = options;
  const path = recordOf(arm);
  const before = (await readRunJson(path, "a run's evaluation")) as Recorded | null;
  const itemsSha256 = tasks && createHash("sha256").update(JSON.stringify(tasks.items)).digest("hex");
  let known = before?.tasks?.itemsSha256 === itemsSha256 ? before?.tasks : undefined;
  let active = before?.activations;
  if (active === undefined || (tasks !== null && known === undefined)) {
    const { device: spec, precision } = arm.config;
    const model = await Llama.load(join(arm.config.out, "model"), { device: spec as DeviceSpec, precision });
    try {
      active ??= await activeNeurons(arm, model);
      if (tasks !== null && known === undefined) {
        const tokenizer = await Tokenizer.fromFile(join(arm.config.out, "model", TOKENIZER_JSON));
        const { nameOf } = tasks;
        const { tasks: scores } = await score(model, tokenizer, tasks.items, { nameOf, onProgress });
        known = { itemsSha256: itemsSha256!, scores };
      }
    } finally {
      model.dispose();
      model.device.trim(); // the next arm opens the device again
    }
    const scored = known ?? before?.tasks;
    const recorded: Recorded = { activations: active, ...(scored && { tasks: scored }) };
    await writeText(path, `${JSON.stringify(recorded)}\n`);
  }
  return { activations: active, ...(tasks !== null && { tasks: known!.scores }) };
}

async function activeNeurons({ config }: Arm, model: Llama): Promise<Activations> {
  const data = entriesOf(config.data.val!).map(({ path, format }) => ({ path, ...(format && { format }) }));
  return activations(model, { data, patchSize: 1, sequenceLength: config.batch.sequenceLength });
}
