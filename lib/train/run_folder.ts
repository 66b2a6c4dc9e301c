/** The folder a run leaves: config.json, metrics.jsonl, report.html, checkpoints/, latest, model/. */
import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { RunConfig } from "../config/config.js";
import { ConfigError } from "../errors.js";
import { changedKeys, latestCheckpoint, replaceFolder, writeText } from "./checkpoint.js";

export class RunFolder {
  private constructor(readonly path: string) {}

  get metrics(): string {
    return join(this.path, "metrics.jsonl");
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

  /** @throws ConfigError where the folder already holds a run */
  static async create(config: RunConfig): Promise<RunFolder> {
    const folder = new RunFolder(config.out);
    // Only what has begun is a run: one that failed before its first step may be started again as it was.
    if (existsSync(folder.metrics)) {
      throw new ConfigError(
        `${config.out}: already holds a run; go on with it (--resume), name another folder (--set out=...) or delete it`,
      );
    }
    await mkdir(folder.checkpoints, { recursive: true });
    await folder.writeConfig(config);
    return folder;
  }

  /**
   * The folder of a run to go on with.
   * @throws ConfigError where there is none, or its config computes something else
   */
  static async reopen(config: RunConfig): Promise<{ folder: RunFolder; checkpoint: string | null }> {
    const path = join(config.out, "config.json");
    if (!existsSync(path)) throw new ConfigError(`--resume: ${config.out} holds no run (no ${path})`);
    const before = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
    const changed = changedKeys(before, config);
    if (changed.length > 0) {
      throw new ConfigError(
        `--resume: the config differs from the run's in ${changed.join(", ")}; ` +
          `go on with ${path} as it is, or start a new run in another folder`,
      );
    }
    const folder = new RunFolder(config.out);
    await mkdir(folder.checkpoints, { recursive: true });
    await folder.writeConfig(config);
    return { folder, checkpoint: await latestCheckpoint(config.out) };
  }

  private async writeConfig(config: RunConfig): Promise<void> {
    await writeText(join(this.path, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
  }

  /** Writes `model/` through `write`, aside first. */
  async replaceModel(write: (folder: string) => Promise<void>): Promise<void> {
    const aside = join(this.path, ".model.part");
    await rm(aside, { recursive: true, force: true });
    await write(aside);
    await replaceFolder(aside, this.model);
  }
}

/** The `tokenizer.json` beside the training shards or the model a run begins with, if there is one. */
export function findTokenizer(config: RunConfig): string | null {
  const first = typeof config.data.train === "string" ? config.data.train : config.data.train[0]!;
  const folders = [dirname(first), ...("from" in config.init ? [config.init.from] : [])];
  return folders.map((folder) => join(folder, "tokenizer.json")).find((path) => existsSync(path)) ?? null;
}
