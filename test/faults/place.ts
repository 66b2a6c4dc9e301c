/** A folder with the built command, data and a config, in which a fault is tried. */
import { deepStrictEqual } from "node:assert/strict";
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { readMetrics } from "../../lib/report/metrics.js";
import { putBuilt } from "../support/built_package.js";
import { writeMadeConfig } from "../support/made_run.js";

/** Steps of the run that `train` is given here: some seconds of work. */
export const STEPS = 400;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** The command, built once. */
export interface Built {
  /** Its file. */
  readonly main: string;
  /** SHA-256 of the weights that an undisturbed run ends with, once it was made. */
  weights: string | null;
  remove(): void;
}

export function build(): Built {
  const folder = mkdtempSync(join(tmpdir(), "nextpatch-built-"));
  putBuilt(folder, { addon: true });
  const remove = () => rmSync(folder, { recursive: true, force: true });
  return { main: join(folder, "dist/cli/main.js"), weights: null, remove };
}

export class Place {
  readonly #children: ChildProcess[] = [];

  private constructor(
    readonly built: Built,
    readonly folder: string,
  ) {}

  static async make(built: Built): Promise<Place> {
    const place = new Place(built, mkdtempSync(join(tmpdir(), "nextpatch-fault-")));
    await writeMadeConfig(place.folder, {
      train: { steps: STEPS },
      eval: { everySteps: 100, sequences: 8 },
      checkpoint: { everySteps: 50, keep: 2 },
    });
    return place;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  text(name: string): string {
    return existsSync(this.path(name)) ? readFileSync(this.path(name), "utf8") : "";
  }

  /** Starts the command, with these arguments. */
  start(args: readonly string[], stdio?: StdioOptions): Started {
    return this.#start(process.execPath, [this.built.main, ...args], stdio);
  }

  /** Starts a line of bash, in which `nextpatch` is the command. */
  bash(line: string): Started {
    const command = `nextpatch() { '${process.execPath}' '${this.built.main}' "$@"; }`;
    return this.#start("bash", ["-c", `${command}; ${line}`]);
  }

  #start(program: string, args: readonly string[], stdio: StdioOptions = ["ignore", "pipe", "pipe"]): Started {
    const child = spawn(program, args, { cwd: this.folder, stdio });
    this.#children.push(child);
    const output = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream]?.setEncoding("utf8").on("data", (text: string) => (output[stream] += text));
    }
    const ended = new Promise<Ended>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve({ code, signal, ...output }));
    });
    return { child, ended };
  }

  /** Starts a run in the folder `out`. */
  train(out: string, ...flags: string[]): Started {
    return this.start(["train", "config.json", "--set", `out=${out}`, ...flags]);
  }

  /** Waits for something, for a minute at most. */
  async until(what: string, holds: () => boolean): Promise<void> {
    for (const start = performance.now(); !holds(); ) {
      if (performance.now() - start > 60_000) throw new Error(`never: ${what}`);
      await setTimeout(5);
    }
  }

  /** Waits until a run has done so many steps. */
  async steps(out: string, steps: number): Promise<void> {
    await this.until(`${steps} steps of ${out}`, () => this.text(`${out}/metrics.jsonl`).split("\n").length > steps);
  }

  /** Resumes a run to its end, and checks that it is what an undisturbed run is. */
  async finish(out: string): Promise<void> {
    const { code, stderr } = await this.train(out, "--resume").ended;
    if (code !== 0) throw new Error(`--resume ended with ${code}: ${stderr}`);
    await this.checkFinished(out);
  }

  /** Checks that a run is whole: each step has its line once, and the weights are an undisturbed run's. */
  async checkFinished(out: string): Promise<void> {
    const steps = (await readMetrics(this.path(`${out}/metrics.jsonl`))).map(({ step }) => step);
    deepStrictEqual(
      steps,
      Array.from({ length: STEPS }, (_, index) => index + 1),
    );
    if (this.built.weights === null) {
      const { code, stderr } = await this.train("undisturbed").ended;
      if (code !== 0) throw new Error(stderr);
      this.built.weights = this.weights("undisturbed");
    }
    deepStrictEqual(this.weights(out), this.built.weights);
  }

  /** SHA-256 of the weights that a run has ended with, in hex. */
  weights(out: string): string {
    return createHash("sha256")
      .update(readFileSync(this.path(`${out}/model/model.safetensors`)))
      .digest("hex");
  }

  size(name: string): number {
    return existsSync(this.path(name)) ? statSync(this.path(name)).size : 0;
  }

  async remove(): Promise<void> {
    for (const child of this.#children) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
