/** The model that the runs of a comparison continue, tested as their final models are. */
import { join } from "node:path";
import type { RunConfig } from "../config/config.js";
import { modelFolder } from "../hf/hub_cache.js";
import { findTokenizer } from "../train/run_tokenizer.js";
import { activeNeurons } from "./active_neurons.js";
import type { Tested } from "./evaluation_record.js";
import { type ArmEvaluation, type EvaluateRunOptions, evaluateRun, type FinalLoss } from "./run_evaluation.js";

/** What it is and can do before the runs. */
export interface StartResult extends FinalLoss, ArmEvaluation {
  /** The share of neurons that are active, over all layers. */
  readonly activeNeurons: number;
}

/** The model of `init.from`; null: the runs begin with random weights. */
export function startModel(config: RunConfig): Tested | null {
  const { init, out } = config;
  if (!("from" in init)) return null;
  const own = { ...config, out: join(out, "start") };
  return { config: own, model: modelFolder(init.from), tokenizer: findTokenizer(config, false) };
}

/** @throws as `evaluateRun` */
export async function testStart(start: Tested, options: EvaluateRunOptions): Promise<StartResult> {
  const result = await evaluateRun(start, options);
  return { ...result, activeNeurons: activeNeurons(result.activations) };
}
