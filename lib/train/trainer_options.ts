import type { Arguments } from "../arguments.js";
import type { RunConfig } from "../config/config.js";
import { ConfigError } from "../errors.js";

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

/** Sections that a parsed config has, even if its file leaves them out. */
const sections = ["init", "data", "stages", "batch", "train", "optimizer", "schedule", "checkpoint"] as const;

/** Checks that a config has its defaults filled in. @throws TypeError for what is no object, ConfigError */
export function checkParsed(check: Arguments, operation: string, config: RunConfig): void {
  check.object("config", config);
  const missing = sections.find((section) => typeof config[section] !== "object");
  if (missing === undefined) return;
  throw new ConfigError(
    `${operation}: config: expected what loadRunConfig or parseRunConfig returns but received an object ` +
      `without the section ${missing}`,
  );
}
