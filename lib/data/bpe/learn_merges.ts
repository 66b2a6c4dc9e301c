/**
 * Learns merges: again and again the most frequent pair of neighbouring tokens becomes a token.
 *
 * This is the trainer of the package `tokenizers` (`BpeTrainer`), so that the merges are the same: pairs come by falling
 * count, then by the number of their left and of their right token, and a pair is merged from left to right in a word.
 *
 * A token comes into being in one step, in all words at once: inside of what it spells, no other merge would have been
 * possible. So the occurrences of a pair are all found in the step that makes the later one of its two tokens; after
 * that they only become fewer.
 *
 * The package counts in 32 bits, which overflow in texts of some ten gigabytes; the counts here do not.
 */
import { setImmediate } from "node:timers/promises";
import { MergeQueue } from "./merge_queue.js";
import { PairTable } from "./pair_table.js";
import { PairWords } from "./pair_words.js";
import type { Vocabulary } from "./vocabulary.js";

/** The words of a corpus as sequences of tokens, and how often each occurs. */
export interface TokenWords {
  /** All words, one after the other; a word gets shorter when tokens in it are merged. */
  readonly tokens: Int32Array;
  readonly starts: Int32Array;
  /** How many tokens each word has now. */
  readonly lengths: Int32Array;
  readonly counts: Float64Array;
}

/** Milliseconds after which the event loop gets its turn. */
const TURN = 50;

/**
 * Adds tokens to the vocabulary until it has `size` or no pair is left, and returns the merges in order.
 * `onTokens` is called with the vocabulary's size now and then if it takes long; the words are used up.
 */
export async function learnMerges(
  words: TokenWords,
  vocabulary: Vocabulary,
  size: number,
  { onTokens, signal }: { onTokens?: ((size: number) => void) | undefined; signal?: AbortSignal | undefined } = {},
): Promise<[left: number, right: number][]> {
  const learner = new MergeLearner(words, vocabulary);
  let turn = performance.now();
  let isLong = false;
  while (vocabulary.size < size && learner.step()) {
    if (performance.now() - turn < TURN) continue;
    isLong = true;
    onTokens?.(vocabulary.size);
    await setImmediate();
    signal?.throwIfAborted();
    turn = performance.now();
  }
  if (isLong) onTokens?.(vocabulary.size);
  return learner.merges;
}

class MergeLearner {
  readonly #words: TokenWords;
  readonly #vocabulary: Vocabulary;
  readonly #table = new PairTable();
  readonly #queue = new MergeQueue(this.#table);
  readonly #wordsOf = new PairWords();
  readonly #merges: [left: number, right: number][] = [];

  constructor(words: TokenWords, vocabulary: Vocabulary) {
    this.#words = words;
    this.#vocabulary = vocabulary;
    const { tokens, starts, lengths, counts } = words;
    for (let word = 0; word < starts.length; word++) {
      const last = starts[word]! + lengths[word]! - 1;
      for (let i = starts[word]!; i < last; i++) this.#gain(tokens[i]!, tokens[i + 1]!, counts[word]!, word);
    }
    this.#enqueue();
  }

  get merges(): [left: number, right: number][] {
    return this.#merges;
  }

  /** Merges the next pair; false if none is left. */
  step(): boolean {
    const pair = this.#queue.take();
    if (pair === undefined) return false;
    const left = this.#table.left[pair]!;
    const right = this.#table.right[pair]!;
    const words = this.#wordsOf.take(pair);
    const token = this.#vocabulary.merged(left, right);
    if (token === null) return true;
    this.#merges.push([left, right]);
    for (const word of words) this.#mergeIn(word, left, right, token);
    this.#enqueue();
    return true;
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
    this.#wordsOf.add(pair, word);
  }

  /** Queues the pairs that the step has brought. */
  #enqueue(): void {
    const { counts } = this.#table;
    for (const pair of this.#wordsOf.keep((gained) => counts[gained]! > 0)) this.#queue.add(pair);
  }
}
