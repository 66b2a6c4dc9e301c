import { type Arguments, describe } from "../arguments.js";
import type { Logger } from "../report/logger.js";
import { checkLoggers } from "./check_loggers.js";

/** Options of `Trainer.open`. */
export interface TrainerOptions {
  /** Resume the run in `config.out`; `auto`: if there is one. Default: begin a new one there. */
  readonly resume?: boolean | "auto";
  /**
   * With `resume: true`, the name of the checkpoint to go on from, such as `step-400`. What the run did after it moves to
   * `abandoned/`. Keys of `optimizer`, `schedule`, `guard` and `precision` may then differ from the run's; they are
   * noted in its `changes.json`. Default: the newest that is intact, with the config as it was.
   */
  readonly from?: string;
  /** With `from`, other keys may differ, too, except the model's; what the steps of the run mean changes. Default false. */
  readonly force?: boolean;
  /**
   * Read every byte of the data before anything else, and compare it with the hashes in `dataset.json`, or where there
   * are none, check that every token is in the model's vocabulary. Default false: sizes and counts are compared.
   */
  readonly verifyData?: boolean;
  /** Called with messages for the user: what `auto` chose, where a run resumes, a skipped update. */
  readonly log?: (message: string) => void;
  /** What else follows the run's steps, beside those that the config's `logger` names. */
  readonly loggers?: readonly Logger[];
}

/** The options with their defaults. */
export interface CheckedOptions extends Required<Omit<TrainerOptions, "from">> {
  /** The step of the checkpoint to go on from; null: the newest. */
  readonly from: number | null;
}

/** The options with their defaults. @throws TypeError, RangeError */
export function checkOptions(check: Arguments, options: TrainerOptions): CheckedOptions {
  const checked = check.object("options", options);
  const { resume = false, from, force = false, verifyData = false, log = () => undefined, loggers = [] } = checked;
  if (resume !== "auto" && typeof resume !== "boolean") {
    check.fail(TypeError, "resume", 'a boolean or "auto"', describe(resume));
  }
  check.boolean("force", force);
  check.boolean("verifyData", verifyData);
  check.callback("log", log);
  if (from !== undefined && resume !== true) check.fail(RangeError, "from", "it with resume: true", "it without");
  if (force && from === undefined) check.fail(RangeError, "force", "it with from", "it without");
  return {
    resume,
    from: from === undefined ? null : stepIn(check, from),
    force,
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
