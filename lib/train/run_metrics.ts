/**
 * The metrics of a run: `metrics.jsonl`, which is appended to and never read as a whole, and `metrics.thinned.json` beside
 * it, from which reports are made. A checkpoint notes the length of the file, of which all is on the disk by then: a
 * resumed run goes on from there, so that each step has its line once.
 */
import { existsSync } from "node:fs";
import { open, rename, stat, writeFile } from "node:fs/promises";
import { inputLimits } from "../disk/input_limits.js";
import { parseJson } from "../disk/json.js";
import { naming } from "../disk/named_error.js";
import { openFile, readText } from "../disk/read_text.js";
import { DataError, unusable } from "../errors.js";
import { type MetricsLine, tryParse } from "../report/metrics.js";
import { checkMetrics, MetricsCheck } from "../report/metrics_check.js";
import { lastLine, readLines } from "../report/metrics_file.js";
import { MetricsWriter } from "../report/metrics_writer.js";
import { ThinnedMetrics } from "../report/thinned_metrics.js";
import type { RunFolder } from "./run_folder.js";

/** Bytes before a checkpoint's place in the file that a resumed run looks through for damage. */
const LOOKED_THROUGH = 2 ** 23;

/** Where a checkpoint is in the file. */
export interface MetricsMark {
  readonly step: number;
  /** Length of the file with the line of `step`; null: not known, so that the line is looked for. */
  readonly bytes: number | null;
}

export class RunMetrics {
  #writer: MetricsWriter | null = null;
  /** What is wrong with the file, in sentences. */
  damage: readonly string[] = [];

  private constructor(
    private readonly path: string,
    private readonly copy: string,
    /** Length of the file as far as it counts. */
    private length: number,
    readonly thinned: ThinnedMetrics,
  ) {}

  /**
   * The metrics of a run, up to a checkpoint; null: a run that begins.
   * @throws DataError if the file is not the one that the checkpoint was made with
   */
  static async open(
    { metrics: path, thinnedMetrics: copy }: RunFolder,
    mark: MetricsMark | null,
    log: (message: string) => void,
  ): Promise<RunMetrics> {
    if (mark === null) return new RunMetrics(path, copy, 0, new ThinnedMetrics());
    if (!existsSync(path)) {
      const metrics = new RunMetrics(path, copy, 0, new ThinnedMetrics());
      metrics.damage = [`${path}: expected the lines of ${mark.step} steps but received no file`];
      for (const each of metrics.damage) log(each);
      return metrics;
    }
    await checkFile(path);
    if (mark.bytes !== null) await checkEnd(path, mark.step, mark.bytes);
    const kept = mark.bytes === null ? null : await readCopy(copy, mark.step);
    const [thinned, length] = kept === null ? await readAll(path, mark) : [kept, mark.bytes!];
    const metrics = new RunMetrics(path, copy, length, thinned);
    metrics.damage = await checkMetrics(path, Math.max(0, length - LOOKED_THROUGH), length);
    for (const each of metrics.damage) log(each);
    return metrics;
  }

  /** Opens the file to append to it; what is after the checkpoint is dropped. */
  async begin(): Promise<void> {
    this.#writer = await MetricsWriter.open(this.path, this.length);
  }

  /** Appends a line, which has been passed to the operating system when this resolves. */
  async append(line: MetricsLine): Promise<void> {
    await this.#writer!.append(line);
    this.thinned.add(line);
  }

  /** Syncs the file to the disk, for a checkpoint that is to note its length in bytes. */
  async mark(): Promise<number> {
    this.length = await this.#writer!.sync();
    const aside = `${this.copy}.part`;
    // Not synced: if it is lost, it is made again.
    await naming(aside, () => writeFile(aside, JSON.stringify(this.thinned)));
    await rename(aside, this.copy);
    return this.length;
  }

  /** Looks through the whole file for damage. */
  async check(): Promise<void> {
    const found = await checkMetrics(this.path, 0, this.length);
    if (found.length > 0) this.damage = found;
  }

  async end(): Promise<void> {
    await this.#writer?.close();
    this.#writer = null;
  }
}

/** @throws DataError for a folder, a pipe or what cannot be read */
async function checkFile(path: string): Promise<void> {
  const file = await openFile(path).catch((cause: unknown) => {
    throw new DataError(`${path}: expected the metrics of a run but received ${unusable(cause)}`, { cause });
  });
  await file.close();
}

/** @throws DataError unless the line that ends at `bytes` is that of the step, or is damaged in place */
async function checkEnd(path: string, step: number, bytes: number): Promise<void> {
  const { size } = await stat(path);
  const file = await open(path, "r");
  const last = await lastLine(file, Math.min(size, bytes)).finally(() => file.close());
  const whole = size >= bytes && last !== null && last.at + last.text.length + 1 === bytes;
  const found = last && tryParse(last.text);
  if (whole && (found === null || found.step === step)) return;
  const received = size < bytes ? `${size} bytes` : found === null ? "none" : `that of step ${found.step}`;
  throw new DataError(
    `${path}: expected the line of step ${step} to end at byte ${bytes}, as its checkpoint noted, but received ` +
      `${received}; restore the file, or delete it to go on without its lines`,
  );
}

/** The thinned copy up to a step; null: there is none, or it is damaged. */
async function readCopy(path: string, step: number): Promise<ThinnedMetrics | null> {
  try {
    return ThinnedMetrics.fromJson(parseJson(await readText(path, inputLimits.json)), step);
  } catch {
    return null;
  }
}

/** Reads the whole file up to a mark. Returns its metrics thinned, and the length up to the line of the mark's step. */
async function readAll(path: string, { step, bytes }: MetricsMark): Promise<[ThinnedMetrics, number]> {
  const thinned = new ThinnedMetrics();
  const check = new MetricsCheck(path, 0);
  let length = 0;
  let last = 0;
  for await (const lines of readLines(path, 0, bytes ?? Number.POSITIVE_INFINITY)) {
    for (const { text, at } of lines) {
      const line = check.line(text, at);
      if (line === null) continue;
      if (line.step > step) return [thinned, bytes ?? length];
      if (line.step > last) thinned.add(line);
      last = Math.max(last, line.step);
      length = at + text.length + 1;
    }
  }
  return [thinned, bytes ?? length];
}
