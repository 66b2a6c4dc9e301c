/** What is wrong with a metrics file: it is read on, and said. */
import { show } from "../arguments.js";
import { type MetricsLine, tryParse } from "./metrics.js";
import { readLines } from "./metrics_file.js";

/** Places that are told of; of more, the number. */
const TOLD = 3;

/** Goes through lines in order and notes where they are not those of one step after another. */
export class MetricsCheck {
  readonly #found: string[] = [];
  #places = 0;

  /**
   * @param path of the file, for the sentences
   * @param before the step of the line before the first; null: any
   */
  constructor(
    private readonly path: string,
    private before: number | null,
  ) {}

  /** Notes a line of the file that begins at byte `at`. Returns it if it is a metrics line. */
  line(text: string, at: number): MetricsLine | null {
    const line = tryParse(text);
    const expected = this.before === null ? null : this.before + 1;
    // What is no line stands for the one that is expected: those after it are not wrong because of it.
    this.before = line === null ? expected : line.step;
    if (line !== null && (expected === null || line.step === expected)) return line;
    const what = expected === null ? "a metrics line" : `the line of step ${expected}`;
    const received = line === null ? show(text.slice(0, 40)) : `that of step ${line.step}`;
    if (++this.#places <= TOLD) this.#found.push(`${this.path}: byte ${at}: expected ${what} but received ${received}`);
    return line;
  }

  /** What was found, in sentences; empty: nothing. */
  get damage(): readonly string[] {
    const more = this.#places - TOLD;
    return more > 0 ? [...this.#found, `${this.path}: and in ${more} more places`] : this.#found;
  }
}

/**
 * Checks the lines between two bytes of a metrics file.
 * @returns what is wrong, in sentences
 */
export async function checkMetrics(path: string, from: number, to: number): Promise<readonly string[]> {
  const check = new MetricsCheck(path, from === 0 ? 0 : null);
  let first = from > 0; // it may begin anywhere
  for await (const lines of readLines(path, from, to)) {
    for (const { text, at } of lines) {
      if (!first) check.line(text, at);
      first = false;
    }
  }
  return check.damage;
}
