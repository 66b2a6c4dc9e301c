/**
 * The metrics of a run that may be going on: what was appended is read and thinned, and nothing is read twice. A run that
 * goes on from a checkpoint cuts its file, and then writes other lines: those are noticed, and the file is read anew.
 */
import { lstat } from "node:fs/promises";
import { readFully } from "../disk/read_fully.js";
import { openFile } from "../disk/read_text.js";
import { type MetricsLine, tryParse } from "../report/metrics.js";
import { type FileLine, readLines } from "../report/metrics_file.js";
import { ThinnedMetrics } from "../report/thinned_metrics.js";

/** More stages than any run has: a page marks them all. */
const MOST_STAGES = 100;

export class MetricsFollower {
  #thinned = new ThinnedMetrics();
  #last: MetricsLine | null = null;
  #damaged = 0;
  /** Bytes that have been read: whole lines. */
  #offset = 0;
  /** The last line that was read; the file is another one when it is not there any more. */
  #end: FileLine | null = null;
  /** Which file it is, and its state when it was read. */
  #file = "";
  #state = "";
  /** Whether steps do not ascend in a file that was read from its beginning. */
  #disorderly = false;

  constructor(private readonly path: string) {}

  /** Lines for charts, at most about a thousand, the last one among them. */
  get lines(): readonly MetricsLine[] {
    return this.#thinned.lines;
  }

  /** The last line, whole; null: there is none yet. */
  get last(): MetricsLine | null {
    return this.#last;
  }

  /** Lines that are none of a run's, or not in order. */
  get damaged(): number {
    return this.#damaged;
  }

  /** Reads what is new. A file that is missing, or cannot be read, has no lines. Returns whether anything changed. */
  async update(): Promise<boolean> {
    const facts = await lstat(this.path).catch(() => null);
    if (!facts?.isFile()) return this.#forget();
    const [file, state] = [`${facts.dev}:${facts.ino}`, `${facts.size}:${facts.mtimeMs}`];
    if (file === this.#file && state === this.#state) return false;
    const before = this.#last;
    try {
      const same = file === this.#file && facts.size >= this.#offset && (await this.#endsAsBefore());
      if (!same) this.#forget();
      if (!(await this.#read(facts.size))) {
        this.#forget();
        await this.#read(facts.size);
      }
      [this.#file, this.#state] = [file, state];
    } catch {
      return this.#forget();
    }
    return this.#last !== before;
  }

  /** Reads up to a byte. Returns whether it was the rest of what was read before. */
  async #read(size: number): Promise<boolean> {
    const fromStart = this.#offset === 0;
    for await (const lines of readLines(this.path, this.#offset, size)) {
      for (const line of lines) {
        const parsed = this.#inStages(tryParse(line.text));
        if (parsed === null || parsed.step <= (this.#last?.step ?? 0)) {
          if (parsed !== null && !fromStart && !this.#disorderly) return false;
          this.#disorderly ||= parsed !== null;
          this.#damaged++;
        } else {
          this.#thinned.add(parsed);
          this.#last = parsed;
        }
        this.#end = line;
        this.#offset = line.at + line.text.length + 1;
      }
    }
    return true;
  }

  /** A line whose stage may follow. */
  #inStages(line: MetricsLine | null): MetricsLine | null {
    const before = this.#last?.stage ?? 0;
    return line && line.stage >= before && line.stage < MOST_STAGES && Number.isInteger(line.stage) ? line : null;
  }

  async #endsAsBefore(): Promise<boolean> {
    if (this.#end === null) return true;
    const { text, at } = this.#end;
    const file = await openFile(this.path);
    try {
      const bytes = Buffer.alloc(text.length);
      await readFully(file, bytes, at);
      return bytes.toString("latin1") === text;
    } finally {
      await file.close();
    }
  }

  #forget(): boolean {
    const had = this.#last !== null;
    this.#thinned = new ThinnedMetrics();
    this.#last = null;
    this.#damaged = 0;
    this.#offset = 0;
    this.#end = null;
    this.#state = "";
    this.#disorderly = false;
    return had;
  }
}
