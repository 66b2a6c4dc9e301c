/**
 * The folder of a run: run.lock, config.json, data.json, tokenizer/, metrics.jsonl and its thinned copy, report.html,
 * checkpoints/, latest, model/.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { RunConfig } from "../config/config.js";
import { makeFolder, recoverFolder, writeFolder, writeText } from "../disk/durable.js";
import { type OwnedFolder, ownFolder } from "../disk/owned_folder.js";
import { ConfigError } from "../errors.js";
import { latestCheckpoint } from "./checkpoint.js";
import { changedKeys } from "./config_hash.js";

const configIn = (folder: string) => join(folder, "config.json");

export class RunFolder {
  private constructor(readonly path: string) {}

  get metrics(): string {
    return join(this.path, "metrics.jsonl");
  }
  get thinnedMetrics(): string {
    return join(this.path, "metrics.thinned.json");
  }
  get report(): string {
    return join(this.path, "report.html");
  }
  get checkpoints(): string {
    return join(this.path, "checkpoints");
  }
  get model(): string {
    return join(this.path, "model");
  }

  /**
   * Takes the folder of a run, so that no other process trains in it.
   * @param resume whether it must hold a run already
   * @throws ConfigError if it does not, or naming the living process that has it
   */
  static async own({ out }: RunConfig, resume: boolean): Promise<OwnedFolder> {
    const path = configIn(out);
    if (resume && !existsSync(path)) throw new ConfigError(`--resume: ${out} holds no run (no ${path})`);
    return ownFolder(out, "run.lock", "a run");
  }

  /** @throws ConfigError if the folder already holds a run */
  static async create(config: RunConfig): Promise<RunFolder> {
    const folder = new RunFolder(config.out);
    // Only a run that has begun counts: one that failed before its first step may simply be started again.
    if (existsSync(folder.metrics)) {
      throw new ConfigError(
        `${config.out}: already holds a run; go on with it (--resume), name another folder (--set out=...) or delete it`,
      );
    }
    await makeFolder(folder.checkpoints);
    await folder.writeConfig(config);
    return folder;
  }

  /**
   * The folder of a run to resume, and its newest checkpoint. If a process was killed while it replaced a folder, the
   * old folder is restored.
   * @throws ConfigError if its config computes something else
   * @throws CheckpointError if `latest` does not name an existing checkpoint
   */
  static async reopen(config: RunConfig): Promise<{ folder: RunFolder; checkpoint: string | null }> {
    const path = configIn(config.out);
    const changed = changedKeys(await readWritten(path), config);
    if (changed.length > 0) {
      throw new ConfigError(
        `--resume: the config differs from the run's in ${changed.join(", ")}; ` +
          `go on with ${path} as it is, or start a new run in another folder`,
      );
    }
    const folder = new RunFolder(config.out);
    await makeFolder(folder.checkpoints);
    await recoverFolder(folder.model);
    const checkpoint = await latestCheckpoint(config.out);
    await folder.writeConfig(config);
    return { folder, checkpoint };
  }

  private async writeConfig(config: RunConfig): Promise<void> {
    await writeText(configIn(this.path), `${JSON.stringify(config, null, 2)}\n`);
  }

  /** Writes `model/` with `write`, which creates the folder at the given path. */
  async replaceModel(write: (folder: string) => Promise<void>): Promise<void> {
    await writeFolder(this.model, write);
  }
}

/** Reads the config that a run wrote. */
async function readWritten(path: string): Promise<object> {
  let config: unknown;
  try {
    config = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new ConfigError(`${path}: cannot be read: ${(cause as Error).message}`, { cause });
  }
  if (typeof config === "object" && config !== null) return config;
  throw new ConfigError(`${path}: expected a run's config but received ${JSON.stringify(config)}`);
}
