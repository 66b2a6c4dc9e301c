/**
 * A run's metrics, thinned to what a page can show: as few lines for a million steps as for a few thousand. One step in
 * `every` is kept, and one evaluation in so many; and of each stage the last line and the last evaluation.
 */
import { type MetricsLine, metricsFrom } from "./metrics.js";

/** The most lines: more points than a chart has pixels make a page slower and no clearer. */
const MOST = 1000;

type Evaluated = MetricsLine & { readonly valLoss: number };
const isEvaluated = (line: MetricsLine): line is Evaluated => line.valLoss !== undefined;

export class ThinnedMetrics {
  #kept: MetricsLine[] = [];
  #last: MetricsLine | undefined;
  #lastEvaluated: MetricsLine | undefined;
  /** One step in so many is kept: a power of two. */
  #every = 1;
  /** One evaluation in so many is kept. */
  #everyEvaluation = 1;
  #passedOver = 0;

  /** One step in so many is among `lines`. */
  get every(): number {
    return this.#every;
  }

  /** The lines in order, the last one among them. What a page does not show is left out of them. */
  get lines(): MetricsLine[] {
    const ends = [this.#lastEvaluated, this.#last].filter((line) => line !== undefined);
    return inOrder(this.#kept, ends);
  }

  /** Adds the line of the next step. */
  add({ time: _time, energy: _energy, ...line }: MetricsLine): void {
    if (this.#last !== undefined && this.#last.stage !== line.stage) {
      this.#kept = this.lines;
      this.#lastEvaluated = undefined;
    }
    this.#last = line;
    if (isEvaluated(line)) this.#lastEvaluated = line;
    if (this.#isDue(line)) this.#kept.push(line);
    if (this.#kept.length >= MOST) this.#thin();
  }

  #isDue(line: MetricsLine): boolean {
    if (isEvaluated(line) && ++this.#passedOver >= this.#everyEvaluation) {
      this.#passedOver = 0;
      return true;
    }
    return this.#isOneInEvery(line);
  }

  #isOneInEvery({ step }: MetricsLine): boolean {
    return (step - 1) % this.#every === 0;
  }

  /** Leaves every other evaluation out if most lines are kept for those, else every other step. */
  #thin(): void {
    const ofEvaluations = this.#kept.filter((line) => isEvaluated(line) && !this.#isOneInEvery(line));
    const evaluations = ofEvaluations.length > this.#kept.length / 2;
    if (evaluations) this.#everyEvaluation *= 2;
    else this.#every *= 2;
    const ends = new Set(endsOfStages(this.#kept));
    let evaluation = 0;
    this.#kept = this.#kept.filter((line) => {
      const evaluated = isEvaluated(line) && (!evaluations || evaluation++ % 2 === 0);
      return evaluated || ends.has(line) || this.#isOneInEvery(line);
    });
  }

  /** For a file: `fromJson` makes the same of it. */
  toJSON(): object {
    return { every: this.#every, everyEvaluation: this.#everyEvaluation, lines: this.lines };
  }

  /**
   * What was written by `toJSON`, up to a step.
   * @returns null for anything else
   */
  static fromJson(json: unknown, lastStep: number): ThinnedMetrics | null {
    const { every, everyEvaluation, lines } = (json ?? {}) as Record<string, unknown>;
    if (!isCount(every) || !isCount(everyEvaluation) || !Array.isArray(lines)) return null;
    const thinned = new ThinnedMetrics();
    try {
      thinned.#kept = lines.map((line) => metricsFrom(line, "")).filter(({ step }) => step <= lastStep);
    } catch {
      return null;
    }
    thinned.#every = every;
    thinned.#everyEvaluation = everyEvaluation;
    thinned.#last = thinned.#kept.at(-1);
    const stage = thinned.#last?.stage;
    thinned.#lastEvaluated = thinned.#kept.findLast((line) => line.stage === stage && isEvaluated(line));
    return thinned;
  }
}

/** The last line and the last evaluation of each stage that has been left. */
function endsOfStages(lines: readonly MetricsLine[]): MetricsLine[] {
  const stages = [...new Set(lines.map(({ stage }) => stage))];
  return stages.flatMap((stage) => {
    const own = lines.filter((line) => line.stage === stage);
    return [own.at(-1), own.findLast(isEvaluated)].filter((line) => line !== undefined);
  });
}

/** Lines with others put into their places, unless they are among them. */
function inOrder(lines: readonly MetricsLine[], others: readonly MetricsLine[]): MetricsLine[] {
  const bySteps = new Map([...lines, ...others].map((line) => [line.step, line]));
  return [...bySteps.values()].sort((a, b) => a.step - b.step);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}
