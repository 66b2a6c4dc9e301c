/**
 * Learns merges: again and again the most frequent pair of neighbouring tokens becomes a token.
 *
 * This is the trainer of the package `tokenizers` (`BpeTrainer`) step for step, so that the merges are the same:
 *
 * - Pairs come by falling count, then by the number of their left and right token.
 * - Only neighbours of merged pairs are counted anew. The count of a merged pair itself stays what it was; if another
 *   merge spells one of its tokens again, the pair returns with the new occurrences added to the old count.
 * - Such a pair is merged once more, and then its place among the merges is the later one.
 * - Two merges may spell the same token, which keeps its first number.
 *
 * The package counts in 32 bits, which overflow in texts of some ten gigabytes; the counts here do not.
 */
import { setImmediate } from "node:timers/promises";
import { MergeQueue } from "./merge_queue.js";
import { NumberLists } from "./number_lists.js";
import { type PairNumber, PairTable } from "./pair_table.js";
import type { Vocabulary } from "./vocabulary.js";
import { grown } from "./word_counts.js";

/** The words of a corpus as sequences of tokens, and how often each occurs. */
export interface TokenWords {
  /** All words, one after the other; a word gets shorter when tokens in it are merged. */
  readonly tokens: Int32Array;
  readonly starts: Int32Array;
  /** How many tokens each word has now. */
  readonly lengths: Int32Array;
  readonly counts: Float64Array;
}

/** Nodes of gathered words that are kept from one step to the next. */
const MOST_NODES = 1 << 20;

/** Milliseconds after which the event loop gets its turn. */
const TURN = 50;

/**
 * Adds tokens to the vocabulary until it has `size` or no pair is left, and returns the merges in order.
 * `onTokens` is called with the vocabulary's size now and then; the words are used up.
 */
export async function learnMerges(
  words: TokenWords,
  vocabulary: Vocabulary,
  size: number,
  { onTokens, signal }: { onTokens?: ((size: number) => void) | undefined; signal?: AbortSignal | undefined } = {},
): Promise<[left: number, right: number][]> {
  const learner = new MergeLearner(words, vocabulary);
  let turn = performance.now();
  while (vocabulary.size < size && learner.step()) {
    if (performance.now() - turn < TURN) continue;
    onTokens?.(vocabulary.size);
    await setImmediate();
    signal?.throwIfAborted();
    turn = performance.now();
  }
  onTokens?.(vocabulary.size);
  return learner.merges();
}

class MergeLearner {
  readonly #words: TokenWords;
  readonly #vocabulary: Vocabulary;
  readonly #table = new PairTable();
  readonly #queue = new MergeQueue(this.#table);
  readonly #lists = new NumberLists();
  readonly #gathered = new GatheredWords();
  /** Pairs in the order merged; a pair that returned stands in it again. */
  readonly #order: PairNumber[] = [];

  constructor(words: TokenWords, vocabulary: Vocabulary) {
    this.#words = words;
    this.#vocabulary = vocabulary;
    this.#count();
  }

  /** Counts all pairs and queues them. */
  #count(): void {
    const { tokens, starts, lengths, counts } = this.#words;
    for (let word = 0; word < starts.length; word++) {
      const end = starts[word]! + lengths[word]!;
      for (let i = starts[word]!; i < end - 1; i++) this.#gain(tokens[i]!, tokens[i + 1]!, counts[word]!, word);
    }
    this.#enqueue();
  }

  /** Merges the next pair; false if none is left. */
  step(): boolean {
    const entry = this.#queue.pop();
    if (entry === undefined) return false;
    const { pairs, counts, arrays, starts, lengths } = this.#queue;
    const pair = pairs[entry]!;
    if (counts[entry] !== this.#table.counts[pair]) {
      this.#queue.requeue(entry);
      return true;
    }
    if (counts[entry] === 0) return false;
    const left = this.#table.left[pair]!;
    const right = this.#table.right[pair]!;
    const token = this.#vocabulary.merged(left, right);
    if (token !== null) {
      this.#order.push(pair);
      const list = this.#lists.array(arrays[entry]!);
      const end = starts[entry]! + lengths[entry]!;
      for (let i = starts[entry]!; i < end; i++) this.#mergeIn(list[i]!, left, right, token);
      this.#enqueue();
    }
    this.#lists.release(arrays[entry]!, lengths[entry]!);
    this.#queue.release(entry);
    return true;
  }

  merges(): [left: number, right: number][] {
    const last = new Set<PairNumber>();
    for (const pair of this.#order) {
      last.delete(pair);
      last.add(pair);
    }
    return [...last].map((pair) => [this.#table.left[pair]!, this.#table.right[pair]!]);
  }

  /** Merges every occurrence of a pair in a word, and counts the neighbours anew. */
  #mergeIn(word: number, left: number, right: number, token: number): void {
    const { tokens, starts, lengths, counts } = this.#words;
    const start = starts[word]!;
    const end = start + lengths[word]!;
    const count = counts[word]!;
    let to = start;
    for (let from = start; from < end; to++) {
      if (tokens[from] !== left || from + 1 === end || tokens[from + 1] !== right) {
        tokens[to] = tokens[from++]!;
        continue;
      }
      tokens[to] = token;
      from += 2;
      if (to > start) {
        this.#lose(tokens[to - 1]!, left, count);
        this.#gain(tokens[to - 1]!, token, count, word);
      }
      if (from < end) {
        this.#lose(right, tokens[from]!, count);
        this.#gain(token, tokens[from]!, count, word);
      }
    }
    lengths[word] = to - start;
  }

  #lose(left: number, right: number, count: number): void {
    this.#table.counts[this.#table.numberOf(left, right)]! -= count;
  }

  #gain(left: number, right: number, count: number, word: number): void {
    const pair = this.#table.numberOf(left, right);
    this.#table.counts[pair]! += count;
    this.#gathered.add(pair, word);
  }

  /** Queues the pairs that were gained since the last time, each with its words. */
  #enqueue(): void {
    for (const pair of this.#gathered.pairs()) {
      const length = this.#gathered.length(pair);
      if (this.#table.counts[pair]! > 0) {
        const place = this.#lists.allocate(length);
        this.#gathered.copy(pair, this.#lists.array(place.array), place.start);
        this.#queue.add(pair, { ...place, length });
      }
    }
    this.#gathered.clear();
  }
}

/** Gathers for each of a few pairs the words that it occurs in. */
class GatheredWords {
  /** For each pair, the last node of its list plus 1; 0 for pairs without. */
  #last = new Int32Array(1 << 12);
  #lengths = new Int32Array(1 << 12);
  /** Nodes: a word, and the node before plus 1. */
  #words = new Int32Array(1 << 12);
  #before = new Int32Array(1 << 12);
  #size = 0;
  #pairs: PairNumber[] = [];

  /** Adds a word to those of a pair, unless it was the last one added. */
  add(pair: PairNumber, word: number): void {
    if (pair >= this.#last.length) {
      this.#last = grown(this.#last, 2 * pair);
      this.#lengths = grown(this.#lengths, 2 * pair);
    }
    const before = this.#last[pair]!;
    if (before === 0) {
      this.#pairs.push(pair);
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

  pairs(): readonly PairNumber[] {
    return this.#pairs;
  }

  length(pair: PairNumber): number {
    return this.#lengths[pair]!;
  }

  /** Writes a pair's words to `list` from `start` on, in the order added. */
  copy(pair: PairNumber, list: Int32Array, start: number): void {
    let at = start + this.#lengths[pair]!;
    for (let node = this.#last[pair]!; node !== 0; node = this.#before[node - 1]!) list[--at] = this.#words[node - 1]!;
  }

  clear(): void {
    for (const pair of this.#pairs) this.#last[pair] = 0;
    this.#pairs = [];
    this.#size = 0;
    // The first count gathers every word many times over; no later step needs that much.
    if (this.#words.length > MOST_NODES) {
      this.#words = new Int32Array(MOST_NODES);
      this.#before = new Int32Array(MOST_NODES);
    }
  }
}
