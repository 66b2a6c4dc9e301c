import type { Arguments } from "../arguments.js";

/** Options of `Trainer.open`. */
export interface TrainerOptions {
  /** Resume the run in `config.out`. Default: begin a new one there. */
  readonly resume?: boolean;
  /**
   * Read every byte of the data before anything else, and compare it with the hashes in `dataset.json`, or where there
   * are none, check that every token is in the model's vocabulary. Default false: sizes and counts are compared.
   */
  readonly verifyData?: boolean;
  /** Called with messages for the user: what `auto` chose, where a run resumes, a skipped update. */
  readonly log?: (message: string) => void;
}

/** The options with their defaults. @throws TypeError */
export function checkOptions(check: Arguments, options: TrainerOptions): Required<TrainerOptions> {
  const { resume = false, verifyData = false, log = () => undefined } = check.object("options", options);
  check.boolean("resume", resume);
  check.boolean("verifyData", verifyData);
  check.callback("log", log);
  return { resume, verifyData, log };
}
