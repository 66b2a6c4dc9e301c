/**
 * Which corpus of a mix the next unit comes from. Of all corpora the one is taken that is furthest behind its share: with
 * weights w (which sum to 1) and c units taken of each so far, the largest w * (taken + 1) - c, the first of several. So
 * after any number of units each corpus is within one unit or so of its share, in an order without chance.
 */
export class Mix {
  readonly #shares: readonly number[];

  /** @param weights positive numbers, of any sum */
  constructor(weights: readonly number[]) {
    const sum = weights.reduce((total, weight) => total + weight, 0);
    this.#shares = weights.map((weight) => weight / sum);
  }

  /** The corpus of the next unit. @param taken units taken of each so far */
  next(taken: readonly number[]): number {
    const total = taken.reduce((sum, count) => sum + count, 1);
    let chosen = 0;
    let most = Number.NEGATIVE_INFINITY;
    for (const [corpus, share] of this.#shares.entries()) {
      const behind = share * total - taken[corpus]!;
      if (behind > most) [chosen, most] = [corpus, behind];
    }
    return chosen;
  }
}
