/**
 * The checkpoints of a run: which of them are intact, which one a resumed run goes on from, and which are deleted.
 * `latest`, beside their folder, names the newest that is on the disk, and `best` that of the lowest validation loss, if
 * the run keeps it.
 */
import { existsSync, readFileSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { recoverFolder, removeFolder, removeLeftovers, writeText } from "../disk/durable.js";
import { inputLimits } from "../disk/input_limits.js";
import { MANIFEST, verifyManifest } from "../disk/manifest.js";
import { readText } from "../disk/read_text.js";
import { CheckpointError } from "../errors.js";
import { checkpointName, namePattern } from "./checkpoint.js";

type Log = (message: string) => void;

/** The step of a checkpoint, from its name. */
export const stepOf = (name: string): number => Number(name.slice("step-".length));

/** What must stay when old checkpoints are deleted, beside those that count. */
export interface Spared {
  /** Names of checkpoints. */
  readonly names: readonly string[];
  /** All of a step before this one; null: none. */
  readonly before: number | null;
}

export class RunCheckpoints {
  /** What is wrong with each that has been read, null: nothing. Each is read once in a process. */
  readonly #known = new Map<string, string | null>();

  /** @param folder the run's `checkpoints/` */
  constructor(readonly folder: string) {}

  /** The pointer to the newest. */
  get pointer(): string {
    return join(dirname(this.folder), "latest");
  }

  /** The names of all, oldest first. */
  async names(): Promise<string[]> {
    return (await readdir(this.folder)).filter((name) => namePattern.test(name)).sort();
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** The pointer to the one of the lowest validation loss. */
  private get bestPointer(): string {
    return join(dirname(this.folder), "best");
  }

  /** The path of the one that `latest` names; null: there is none. */
  get latest(): string | null {
    return this.#namedBy(this.pointer);
  }

  /** The path of the one that `best` names; null: there is none. */
  get best(): string | null {
    return this.#namedBy(this.bestPointer);
  }

  #namedBy(pointer: string): string | null {
    const name = existsSync(pointer) ? readFileSync(pointer, "utf8").trim() : "";
    return namePattern.test(name) && existsSync(this.path(name)) ? this.path(name) : null;
  }

  /** Points `latest` to a checkpoint that is on the disk, whole. */
  async point(name: string): Promise<void> {
    this.#known.set(name, null);
    await writeText(this.pointer, `${name}\n`);
  }

  /** Points `best`, beside `latest`, to a checkpoint; null: there is none, and no such file. */
  async pointToBest(name: string | null): Promise<void> {
    if (name === null) await rm(this.bestPointer, { force: true });
    else await writeText(this.bestPointer, `${name}\n`);
  }

  /** Restores what a killed process was about to replace, and deletes what it left behind. */
  async sweep(): Promise<void> {
    for (const entry of await readdir(this.folder)) {
      const name = /^\.(.+)\.old$/.exec(entry)?.[1];
      if (name !== undefined && namePattern.test(name)) await recoverFolder(this.path(name));
    }
    await removeLeftovers(this.folder, namePattern);
  }

  /**
   * The name of the newest intact checkpoint, or null if the run has none yet. Damaged ones, and a pointer that names
   * another one, are told.
   * @throws CheckpointError if there are checkpoints, or should be, and none is intact
   */
  async newest(log: Log): Promise<string | null> {
    const pointed = await this.#pointed();
    const problems: string[] = pointed.problem === null ? [] : [pointed.problem];
    for (const name of (await this.names()).reverse()) {
      const problem = await this.#verify(name, log);
      if (problem !== null) {
        problems.push(problem);
        continue;
      }
      for (const each of problems) log(each);
      if (problems.length > 0) log(`the newest intact checkpoint is ${this.path(name)}`);
      else if (pointed.name !== name)
        log(`${this.pointer}: names ${pointed.name ?? "none"}, but ${name} is newer and intact`);
      return name;
    }
    if (problems.length === 0) return null;
    throw new CheckpointError(`${problems.join("\n")}\nno checkpoint of the run is intact`);
  }

  /** @throws CheckpointError if a checkpoint is missing or damaged */
  async check(name: string, log: Log): Promise<void> {
    if (!existsSync(this.path(name))) {
      const others = await this.names();
      const has = others.length === 0 ? "no checkpoint" : others.join(", ");
      throw new CheckpointError(
        `${this.path(name)}: expected a checkpoint of the run, which has ${has}, but received none`,
      );
    }
    const problem = await this.#verify(name, log);
    if (problem !== null) throw new CheckpointError(problem);
  }

  /**
   * Deletes all that are older than the `keep` newest intact ones of those up to `step`, but the one that `latest` names
   * and the spared ones.
   */
  async prune(step: number, keep: number, spared: Spared): Promise<void> {
    const { name: latest } = await this.#pointed();
    const stays = new Set([...spared.names, latest]);
    let intact = 0;
    for (const name of (await this.names()).reverse()) {
      // A later one is of an attempt that was broken off: this one will write it again.
      if (stepOf(name) > step) continue;
      if (intact < keep) {
        if ((await this.#verify(name, () => undefined)) === null) intact++;
        continue;
      }
      if (stays.has(name) || (spared.before !== null && stepOf(name) < spared.before)) continue;
      await removeFolder(this.path(name));
      this.#known.delete(name);
    }
  }

  /** What `latest` names; the problem, if that is no checkpoint of the run. */
  async #pointed(): Promise<{ name: string | null; problem: string | null }> {
    if (!existsSync(this.pointer)) return { name: null, problem: null };
    const name = (await readText(this.pointer, inputLimits.smallJson)).trim();
    if (!namePattern.test(name)) {
      const expected = `a checkpoint's name, as ${checkpointName(500)}`;
      return { name: null, problem: `${this.pointer}: expected ${expected} but received ${JSON.stringify(name)}` };
    }
    if (existsSync(this.path(name))) return { name, problem: null };
    return { name, problem: `${this.pointer}: names ${name}, but there is no folder ${this.path(name)}` };
  }

  /** What is wrong with a checkpoint; null: nothing. */
  async #verify(name: string, log: Log): Promise<string | null> {
    let problem = this.#known.get(name);
    if (problem === undefined) {
      problem = await this.#read(name, log);
      this.#known.set(name, problem);
    }
    return problem;
  }

  async #read(name: string, log: Log): Promise<string | null> {
    try {
      if (!(await verifyManifest(this.path(name)))) log(`${this.path(name)} has no ${MANIFEST}: it is taken as it is`);
      return null;
    } catch (error) {
      if (error instanceof CheckpointError) return error.message;
      throw error;
    }
  }
}
