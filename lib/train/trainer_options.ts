import type { Arguments } from "../arguments.js";

/** How a run is opened. */
export interface TrainerOptions {
  /** Go on with the run that `config.out` holds. Default: begin a new one there. */
  readonly resume?: boolean;
  /** Called with what a person wants to know: what `auto` chose, where a run goes on, an update that was skipped. */
  readonly log?: (message: string) => void;
}

/** The options with their defaults. @throws TypeError */
export function checkOptions(check: Arguments, options: TrainerOptions): Required<TrainerOptions> {
  const { resume = false, log = () => undefined } = check.object("options", options);
  check.boolean("resume", resume);
  check.callback("log", log);
  return { resume, log };
}
