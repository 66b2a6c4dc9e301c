/** Characters as tokens, in a vocabulary that spells the rarest ones as bytes. */
import type { TokenWords } from "./learn_merges.js";
import { codePointAt } from "./split.js";
import type { Vocabulary } from "./vocabulary.js";
import type { CountedWords } from "./word_counts.js";

/** What a blank is written as in tokens: ▁. */
export const WORD_MARK = "\u2581";

/**
 * The share of the text whose characters are tokens, SentencePiece's default. What is left is the rare characters,
 * which are spelled as bytes.
 */
const COVERAGE = 0.9995;

/** The most frequent characters that together make up COVERAGE of the words, and WORD_MARK, by their code points. */
export function coveringAlphabet(words: CountedWords): number[] {
  const counts = new Float64Array(0x110000);
  let total = 0;
  for (const [code, word] of characters(words)) {
    counts[code]! += words.counts[word]!;
    total += words.counts[word]!;
  }
  const found = Array.from(counts.keys()).filter((code) => counts[code]! > 0);
  const mark = WORD_MARK.codePointAt(0)!;
  const kept = new Set([mark]);
  let covered = counts[mark]!;
  for (const code of found.sort((a, b) => counts[b]! - counts[a]! || a - b)) {
    if (covered >= COVERAGE * total) break;
    if (!kept.has(code)) covered += counts[code]!;
    kept.add(code);
  }
  return [...kept].sort((a, b) => a - b);
}

/**
 * Adds the characters of an alphabet to the vocabulary and gives the words' characters. Others are left out of the
 * words, as in the package's trainer.
 */
export function wordsOfCharacters(
  words: CountedWords,
  alphabet: readonly number[],
  vocabulary: Vocabulary,
): TokenWords {
  const numbers = new Int32Array(0x110000).fill(-1);
  for (const code of alphabet) numbers[code] = vocabulary.add(String.fromCodePoint(code));
  const tokens = new Int32Array(words.bytes.length);
  const lengths = new Int32Array(words.ends.length);
  let size = 0;
  for (const [code, word] of characters(words)) {
    if (numbers[code] === -1) continue;
    tokens[size++] = numbers[code]!;
    lengths[word]!++;
  }
  const starts = new Int32Array(lengths.length);
  for (let word = 1; word < starts.length; word++) starts[word] = starts[word - 1]! + lengths[word - 1]!;
  return { tokens, starts, lengths, counts: words.counts };
}

/** Every character of every word, with the word's number; a blank as WORD_MARK. */
function* characters({ bytes, ends }: CountedWords): Generator<readonly [code: number, word: number]> {
  let at = 0;
  for (let word = 0; word < ends.length; word++) {
    while (at < ends[word]!) {
      const code = codePointAt(bytes, at);
      at += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      yield [code === 0x20 ? WORD_MARK.codePointAt(0)! : code, word];
    }
  }
}
