/** Shares out the seconds of a run: a step may take its own limit, and what earlier steps have left of theirs. */
export class Budget {
  readonly #end: number;
  /** When a step must have ended: after the limits of all steps up to it. */
  #stepEnd: number;

  /**
   * @param seconds of all steps together
   * @param now milliseconds
   */
  constructor(
    seconds: number,
    readonly now: () => number = () => performance.now(),
  ) {
    this.#stepEnd = now();
    this.#end = this.#stepEnd + 1000 * seconds;
  }

  /** Seconds that the next step may take; null if less than half of its limit is left, which is not worth a start. */
  grant(limit: number): number | null {
    this.#stepEnd += 1000 * limit;
    const seconds = (Math.min(this.#stepEnd, this.#end) - this.now()) / 1000;
    return seconds < limit / 2 ? null : seconds;
  }
}
