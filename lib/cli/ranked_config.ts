/** The config of a command that several ranks may run. */
import { loadRunConfig, type RunConfig } from "../config/config.js";
import type { DeviceSpec } from "../device.js";
import { type OverrideFlags, overridesOf } from "./arguments.js";
import type { CliIo } from "./io.js";
import { runOnDevices } from "./launch_devices.js";
import { runAsRanks } from "./launch_ranks.js";

export interface RankFlags extends OverrideFlags {
  readonly ranks?: number;
  readonly devices?: readonly number[];
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
  const asked = (["ranks", "devices"] as const)
    .filter((key) => flags[key] !== undefined)
    .map((key) => `parallel.${key}=${JSON.stringify(flags[key])}`);
  const config = await loadRunConfig(path, { set: [...overridesOf(flags), ...asked], log: (text) => said.push(text) });
  check(config);
  const { ranks, devices } = config.parallel;
  const { onSignal } = config.checkpoint;
  const ended =
    devices.length > 0
      ? await runOnDevices(devices, config.device as DeviceSpec, io, onSignal)
      : await runAsRanks(ranks, io, onSignal);
  if (ended === null) {
    for (const each of said) io.log(each);
    return config;
  }
  process.exitCode = ended;
  return null;
}
