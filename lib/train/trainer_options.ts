import { type Arguments, describe } from "../arguments.js";
import type { ResolvedStage } from "../config/stages.js";
import { TokenDataset } from "../data/dataset.js";
import type { Logger } from "../report/logger.js";
import type { MetricsLine } from "../report/metrics.js";
import { checkLoggers } from "./check_loggers.js";

/** A step for which a learning rate is asked. */
export interface LearningRateAt {
  /** The run's step, from 0, and how many there are. */
  readonly step: number;
  readonly totalSteps: number;
  /** The stage that it is in, and its step in that, from 0. */
  readonly stage: ResolvedStage;
  readonly stageStep: number;
  /** Tokens that were trained on before it. */
  readonly tokens: number;
  /** The rate that the config's schedule gives it. */
  readonly scheduled: number;
}

/** A validation loss, in nats per token, and with a known text in bits per byte, after a step. */
export type Evaluation = Required<Pick<MetricsLine, "step" | "valLoss">> & Pick<MetricsLine, "valBitsPerByte">;

/** Options of `Trainer.open`. */
export interface TrainerOptions {
  /**
   * Resume the run in `config.out`; `auto`: if there is one. Its config may have another `train`, so that the run is longer:
   * the last stage gets what is more. Default: begin a new one there.
   */
  readonly resume?: boolean | "auto";
  /**
   * With `resume: true`, the name of the checkpoint to go on from, such as `step-400`. What the run did after it moves to
   * `abandoned/`. Keys of `optimizer`, `schedule`, `guard` and `precision` may then differ from the run's; they are
   * noted in its `changes.json`. So may its length, if that leaves the steps up to there as they are. Default: the newest
   * that is intact, with the config as it was but for a longer run.
   */
  readonly from?: string;
  /** With `from`, other keys may differ, too, except the model's; what the steps of the run mean changes. Default false. */
  readonly force?: boolean;
  /**
   * Datasets that the config's `data` names by `dataset:NAME`, such as `TokenDataset.from` makes. The trainer does not close
   * them. A run is resumed with the same tokens.
   */
  readonly datasets?: Readonly<Record<string, TokenDataset>>;
  /**
   * Read every byte of the data before anything else, and compare it with the hashes in `dataset.json`, or where there
   * are none, check that every token is in the model's vocabulary. Default false: sizes and counts are compared.
   */
  readonly verifyData?: boolean;
  /**
   * The learning rate of a step, at least 0, instead of the schedule's: of AdamW, and Muon's is scaled alike. The config
   * does not record it: a run that is resumed needs it again, and of several ranks each must have the same. A run with
   * rates of its own can be extended whatever its schedule is.
   */
  readonly learningRate?: (at: LearningRateAt) => number;
  /** Ends training as `requestStop` does; `run` then rejects with the signal's reason, unless it was the last step. */
  readonly signal?: AbortSignal;
  /** Called where a stage begins, and where a run resumes in it. */
  readonly onStage?: (stage: ResolvedStage) => void;
  /** Called with the metrics of each step, when they are written. */
  readonly onStep?: (line: MetricsLine) => void;
  /** Called after an evaluation, before `onStep`. */
  readonly onEvaluation?: (evaluation: Evaluation) => void;
  /** Called when a checkpoint is on the disk, while training goes on; of several ranks, in the first. */
  readonly onCheckpoint?: (checkpoint: { readonly step: number; readonly path: string }) => void;
  /** Called with messages for the user: what `auto` chose, where a run resumes, a skipped update. */
  readonly log?: (message: string) => void;
  /** What else follows the run's steps, beside those that the config's `logger` names. */
  readonly loggers?: readonly Logger[];
}

const callbacks = ["learningRate", "onStage", "onStep", "onEvaluation", "onCheckpoint"] as const;

/** The options with their defaults. */
export interface CheckedOptions
  extends Required<Pick<TrainerOptions, "resume" | "force" | "datasets" | "verifyData" | "log" | "loggers">>,
    Pick<TrainerOptions, (typeof callbacks)[number] | "signal"> {
  /** The step of the checkpoint to go on from; null: the newest. */
  readonly from: number | null;
}

/** The options with their defaults. @throws TypeError, RangeError */
export function checkOptions(check: Arguments, options: TrainerOptions): CheckedOptions {
  const checked = check.options("options", options, [
    "resume",
    "from",
    "force",
    "datasets",
    "verifyData",
    "learningRate",
    "signal",
    "onStage",
    "onStep",
    "onEvaluation",
    "onCheckpoint",
    "log",
    "loggers",
  ]);
  const { resume = false, from, force = false, datasets = {}, verifyData = false } = checked;
  const { log = () => undefined, loggers = [] } = checked;
  if (resume !== "auto" && typeof resume !== "boolean") {
    check.fail(TypeError, "resume", 'a boolean or "auto"', describe(resume));
  }
  check.boolean("force", force);
  for (const [name, dataset] of Object.entries(check.object("datasets", datasets))) {
    check.instance(`datasets.${name}`, dataset, TokenDataset);
  }
  check.boolean("verifyData", verifyData);
  check.callback("log", log);
  for (const name of callbacks) check.callback(name, checked[name]);
  check.signal("signal", checked.signal);
  if (from !== undefined && resume !== true) check.fail(RangeError, "from", "it with resume: true", "it without");
  if (force && from === undefined) check.fail(RangeError, "force", "it with from", "it without");
  return {
    ...checked,
    resume,
    from: from === undefined ? null : stepIn(check, from),
    force,
    datasets,
    verifyData,
    log,
    loggers: checkLoggers(check, loggers),
  };
}

/** The step of a checkpoint's name. */
function stepIn(check: Arguments, from: string): number {
  const expected = "a checkpoint's name, such as step-400,";
  const [, step] = /^step-(\d{1,8})$/.exec(check.string("from", from, expected)) ?? [];
  return step === undefined ? check.fail(RangeError, "from", expected, JSON.stringify(from)) : Number(step);
}
