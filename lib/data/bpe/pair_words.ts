/** For each pair of tokens, the words that it occurs in: gathered in one step, and kept until the pair is merged. */
import { NumberLists } from "./number_lists.js";
import type { PairNumber } from "./pair_table.js";
import { grown } from "./word_counts.js";

/** Nodes of gathered words for which memory is kept from one step to the next. */
const MOST_NODES = 1 << 20;

export class PairWords {
  readonly #lists = new NumberLists();
  /** Where the list of each pair lies: its array, its start there, its length. */
  #arrays = new Int32Array(1 << 12);
  #starts = new Int32Array(1 << 12);
  #lengths = new Int32Array(1 << 12);
  /** While a pair's words are gathered, its last node plus 1, else 0. */
  #last = new Int32Array(1 << 12);
  /** Nodes: a word, and the node before plus 1. */
  #words = new Int32Array(1 << 12);
  #before = new Int32Array(1 << 12);
  #size = 0;
  #gathered: PairNumber[] = [];

  /** Adds a word to those of a pair, unless it was the last one added. */
  add(pair: PairNumber, word: number): void {
    if (pair >= this.#last.length) {
      this.#arrays = grown(this.#arrays, 2 * pair);
      this.#starts = grown(this.#starts, 2 * pair);
      this.#lengths = grown(this.#lengths, 2 * pair);
      this.#last = grown(this.#last, 2 * pair);
    }
    const before = this.#last[pair]!;
    if (before === 0) {
      this.#gathered.push(pair);
      this.#lengths[pair] = 0;
    } else if (this.#words[before - 1] === word) {
      return;
    }
    if (this.#size === this.#words.length) {
      this.#words = grown(this.#words, 2 * this.#size);
      this.#before = grown(this.#before, 2 * this.#size);
    }
    this.#words[this.#size] = word;
    this.#before[this.#size] = before;
    this.#last[pair] = ++this.#size;
    this.#lengths[pair]!++;
  }

  /** Ends a step: keeps the words gathered for the pairs that pass, and returns those. */
  keep(passes: (pair: PairNumber) => boolean): PairNumber[] {
    const kept = this.#gathered.filter(passes);
    for (const pair of kept) {
      const length = this.#lengths[pair]!;
      const { array, start } = this.#lists.allocate(length);
      const list = this.#lists.array(array);
      let at = start + length;
      for (let node = this.#last[pair]!; node !== 0; node = this.#before[node - 1]!) {
        list[--at] = this.#words[node - 1]!;
      }
      this.#arrays[pair] = array;
      this.#starts[pair] = start;
    }
    for (const pair of this.#gathered) this.#last[pair] = 0;
    this.#gathered = [];
    this.#size = 0;
    // The first step gathers all words of all pairs; no later one needs as much.
    if (this.#words.length > MOST_NODES) {
      this.#words = new Int32Array(MOST_NODES);
      this.#before = new Int32Array(MOST_NODES);
    }
    return kept;
  }

  /** The words of a pair, which are given up: valid until the end of the step. */
  take(pair: PairNumber): Int32Array {
    const [array, start, length] = [this.#arrays[pair]!, this.#starts[pair]!, this.#lengths[pair]!];
    const words = this.#lists.array(array).subarray(start, start + length);
    this.#lists.release(array, length);
    return words;
  }
}
