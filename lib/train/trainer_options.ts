import type { Arguments } from "../arguments.js";

/** Options of `Trainer.open`. */
export interface TrainerOptions {
  /** Resume the run in `config.out`. Default: begin a new one there. */
  readonly resume?: boolean;
  /** Called with messages for the user: what `auto` chose, where a run resumes, a skipped update. */
  readonly log?: (message: string) => void;
}

/** The options with their defaults. @throws TypeError */
export function checkOptions(check: Arguments, options: TrainerOptions): Required<TrainerOptions> {
  const { resume = false, log = () => undefined } = check.object("options", options);
  check.boolean("resume", resume);
  check.callback("log", log);
  return { resume, log };
}
