/**
 * The folder of a run: run.lock, config.json, data.json, tokenizer/, metrics.jsonl and its thinned copy, report.html and
 * report.json, checkpoints/, latest, model/.
 */
import { existsSync, readdirSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { RunConfig } from "../config/config.js";
import { DATASET_JSON } from "../data/outfolder.js";
import { makeFolder, recoverFolder, removeLeftovers, writeFolder, writeText } from "../disk/durable.js";
import { inputLimits } from "../disk/input_limits.js";
import { parseJson } from "../disk/json.js";
import { type OwnedFolder, ownFolder } from "../disk/owned_folder.js";
import { readText } from "../disk/read_text.js";
import { ConfigError } from "../errors.js";
import { isWeightFile } from "../hf/weight_files.js";
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

/** What a new run would replace. */
const written: readonly string[] = [...folders, ...files, "checkpoints", "metrics.jsonl"];

const configIn = (folder: string) => join(folder, "config.json");

/**
 * Checks that a new run replaces nothing in a folder, and that the folder is not already something else: a model, or
 * data. What a run has left that failed before its first step does not count.
 * @throws ConfigError naming the file
 */
async function checkFree(out: string): Promise<void> {
  const names = await readdir(out).catch((): string[] => []); // whoever makes the folder says why it cannot
  const config = names.includes("config.json") ? await readText(configIn(out), inputLimits.json).catch(() => "") : null;
  const isRun = config !== null && isRunConfig(parsed(config) ?? {});
  const other = (name: string): boolean =>
    name === DATASET_JSON ||
    isWeightFile(name) ||
    (!isRun && written.includes(name) && !isEmptyFolder(join(out, name)));
  const found = names.find(other);
  if (found === undefined) return;
  throw new ConfigError(
    `${out}: expected a new folder, or one without files that a run would replace, but received one that holds ${found}`,
  );
}

/** Checks that a folder holds a run, and not something else with a config.json, such as a model. @throws ConfigError */
async function checkHoldsRun(out: string): Promise<void> {
  const path = configIn(out);
  if (!existsSync(path)) throw new ConfigError(`--resume: ${out} holds no run (no ${path})`);
  const text = await readText(path, inputLimits.smallJson).catch(() => null);
  const config = text === null ? null : parsed(text);
  if (config === null || isRunConfig(config)) return; // who needs one that cannot be read says why
  const { model_type, architectures } = config as Readonly<Record<string, unknown>>;
  const kind = model_type === undefined && architectures === undefined ? "not a run's" : "a model's";
  throw new ConfigError(`--resume: ${out} holds no run (${path} is ${kind})`);
}

/** Whether a config is a run's, and not a model's. */
function isRunConfig({ data, out }: Partial<RunConfig>): boolean {
  return data !== undefined && out !== undefined;
}

/** The keys of JSON text, none if it is no object's; null: it is no JSON. */
function parsed(text: string): object | null {
  try {
    const value = parseJson(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return null;
  }
}

function isEmptyFolder(path: string): boolean {
  try {
    return readdirSync(path).length === 0;
  } catch {
    return false; // a file
  }
}

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
   * @throws ConfigError if it does not, or naming the living process that has it; for a new run, if the folder holds
   *   files that are none of a run's, which it would replace or hide
   */
  static async own({ out }: RunConfig, resume: boolean): Promise<OwnedFolder> {
    if (resume) await checkHoldsRun(out);
    else if (!(await RunFolder.holdsRun(out))) await checkFree(out);
    return ownFolder(out, "run.lock", "a run");
  }

  /** Whether a folder holds a run that has begun: one that failed before its first step may simply be started again. */
  static async holdsRun(path: string): Promise<boolean> {
    const { metrics, checkpoints } = new RunFolder(path);
    if (existsSync(metrics)) return true;
    const found = await stat(checkpoints.folder).catch(() => null);
    return found?.isDirectory() === true && (await checkpoints.names()).length > 0;
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
