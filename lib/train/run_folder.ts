/**
 * The folder of a run: run.lock, config.json, data.json, tokenizer/, metrics.jsonl and its thinned copy, report.html and
 * report.json, checkpoints/, latest, model/.
 */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { RunConfig } from "../config/config.js";
import { makeFolder, recoverFolder, removeLeftovers, writeFolder, writeText } from "../disk/durable.js";
import { type OwnedFolder, ownFolder } from "../disk/owned_folder.js";
import { ConfigError } from "../errors.js";
import { RunCheckpoints } from "./run_checkpoints.js";

/** What is replaced as a whole, each by a temporary name. */
const folders = ["model", "tokenizer", "base"];
const files = [
  "config.json",
  "data.json",
  "metrics.thinned.json",
  "report.html",
  "report.json",
  "changes.json",
  "latest",
  "best",
];

const configIn = (folder: string) => join(folder, "config.json");

export class RunFolder {
  readonly checkpoints: RunCheckpoints;

  private constructor(readonly path: string) {
    this.checkpoints = new RunCheckpoints(join(path, "checkpoints"));
  }

  /** The folder of a run that another process has made. */
  static at(config: RunConfig): RunFolder {
    return new RunFolder(config.out);
  }

  get metrics(): string {
    return join(this.path, "metrics.jsonl");
  }
  get thinnedMetrics(): string {
    return join(this.path, "metrics.thinned.json");
  }
  get report(): string {
    return join(this.path, "report.html");
  }
  /** What the report shows beside the metrics. */
  get facts(): string {
    return join(this.path, "report.json");
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

  /** Whether a folder holds a run that has begun: one that failed before its first step may simply be started again. */
  static async holdsRun(path: string): Promise<boolean> {
    const { metrics, checkpoints } = new RunFolder(path);
    return existsSync(metrics) || (existsSync(checkpoints.folder) && (await checkpoints.names()).length > 0);
  }

  /** @throws ConfigError if the folder already holds a run */
  static async create(config: RunConfig): Promise<RunFolder> {
    const folder = new RunFolder(config.out);
    if (await RunFolder.holdsRun(config.out)) {
      throw new ConfigError(
        `${config.out}: already holds a run; go on with it (--resume), name another folder (--set out=...) or delete it`,
      );
    }
    await makeFolder(folder.checkpoints.folder);
    await folder.writeConfig(config);
    return folder;
  }

  /**
   * The folder of a run to resume. If a process was killed while it replaced a folder, the old folder is restored; what
   * else it left is deleted.
   */
  static async reopen(config: RunConfig): Promise<RunFolder> {
    const folder = new RunFolder(config.out);
    await makeFolder(folder.checkpoints.folder);
    await folder.sweep();
    return folder;
  }

  /** Restores the folders that a killed process was about to replace, and deletes what it left behind. */
  private async sweep(): Promise<void> {
    await this.checkpoints.sweep();
    for (const name of folders) await recoverFolder(join(this.path, name));
    await removeLeftovers(this.path, new RegExp(`^(${folders.join("|")})$`));
    for (const name of files) await rm(join(this.path, `${name}.part`), { force: true });
  }

  /** Writes the run's `config.json`. */
  async writeConfig(config: RunConfig): Promise<void> {
    await writeText(configIn(this.path), `${JSON.stringify(config, null, 2)}\n`);
  }

  /** Writes `model/` with `write`, which creates the folder at the given path. */
  async replaceModel(write: (folder: string) => Promise<void>): Promise<void> {
    await writeFolder(this.model, write);
  }
}
