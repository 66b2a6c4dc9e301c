/** The flags by which `train` goes on with a run. */
import type { Command } from "commander";
import { ConfigError } from "../errors.js";
import type { TrainerOptions } from "../train/trainer_options.js";

export interface ResumeFlags {
  readonly resume?: boolean;
  readonly resumeAuto?: boolean;
  readonly from?: string;
  readonly force?: boolean;
}

/** What `--resume=auto` is replaced with: an option that may have a value would take the config's name for it. */
const AUTO = "--resume-auto";

export function withResume(command: Command): Command {
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (words) => parse(words.map((word) => (word === "--resume=auto" ? AUTO : word)));
  return command
    .option(
      "--resume",
      "continue from the run's newest intact checkpoint, also for longer (--set train.steps=N); --resume=auto: begin, if " +
        "there is no run yet",
    )
    .addOption(command.createOption(AUTO).hideHelp())
    .option(
      "--from <checkpoint>",
      "with --resume, continue from this checkpoint (step-400), also with another optimizer, schedule, guard or " +
        "precision; what came after it moves to abandoned/",
    )
    .option("--force", "with --from, let other keys differ from the run's, too");
}

/** The options that the flags give. @throws ConfigError for flags that do not go together */
export function resumeOptions({ resume = false, resumeAuto = false, from, force = false }: ResumeFlags) {
  if (resume && resumeAuto) throw new ConfigError("--resume: expected it once but received it with and without auto");
  if (from !== undefined && !resume) throw new ConfigError("--from: expected --resume with it but received none");
  if (force && from === undefined) throw new ConfigError("--force: expected --from with it but received none");
  return {
    resume: resumeAuto ? "auto" : resume,
    ...(from !== undefined && { from }),
    force,
  } satisfies TrainerOptions;
}
