/** The config of a command that several ranks may run. */
import { loadRunConfig, type RunConfig } from "../config/config.js";
import { type OverrideFlags, overridesOf } from "./arguments.js";
import type { CliIo } from "./io.js";
import { runAsRanks } from "./launch_ranks.js";

export interface RankFlags extends OverrideFlags {
  readonly ranks?: number;
}

/**
 * Loads a config for this process; null: other processes have run the command as ranks, and the exit code is theirs.
 * @param check of the config, before any rank is started
 * @throws ConfigError
 */
export async function loadRankedConfig(
  path: string,
  flags: RankFlags,
  io: CliIo,
  check: (config: RunConfig) => void = () => undefined,
): Promise<RunConfig | null> {
  // Told by the process that trains, and not by the one that starts it, too.
  const said: string[] = [];
  const asked = flags.ranks === undefined ? [] : [`parallel.ranks=${flags.ranks}`];
  const config = await loadRunConfig(path, { set: [...overridesOf(flags), ...asked], log: (text) => said.push(text) });
  check(config);
  const ended = await runAsRanks(config.parallel.ranks, io, config.checkpoint.onSignal);
  if (ended === null) {
    said.forEach(io.log);
    return config;
  }
  process.exitCode = ended;
  return null;
}
