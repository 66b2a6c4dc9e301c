/** Trains a BPE tokenizer on documents. */
import { availableParallelism } from "node:os";
import { Arguments } from "../arguments.js";
import { DataError } from "../errors.js";
import { wordsOfBytes } from "./bpe/byte_alphabet.js";
import { coveringAlphabet, wordsOfCharacters } from "./bpe/character_alphabet.js";
import { countWords } from "./bpe/count_words.js";
import { learnMerges, type TokenWords } from "./bpe/learn_merges.js";
import { byteFallbackJson, byteLevelJson } from "./bpe/tokenizer_json.js";
import { Vocabulary } from "./bpe/vocabulary.js";
import type { CountedWords } from "./bpe/word_counts.js";
import type { TextPiece } from "./sources.js";

/** The largest vocabulary that can be trained: 2^18 tokens. */
export const MAX_TRAINED_VOCAB = 262_144;

/** The special token of every byte-level vocabulary. */
const END_OF_TEXT = "<|endoftext|>";

/** The special tokens of every vocabulary with byte fallback, as Llama 2's: for the unknown, and around a text. */
const UNKNOWN = "<unk>";
const BEGIN = "<s>";
const END = "</s>";

/** The tokens of the 256 bytes that a character without a token is spelled with. */
const BYTE_TOKENS: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
);

/** A tokenizer to train. */
export interface TokenizerTraining {
  /** Number of tokens, 257 to 262,144; with special tokens or byte fallback more than those take. */
  vocab: number;
  /** Special tokens beside those that every vocabulary has; they follow those, in this order. */
  special?: readonly string[];
  /** Makes every digit a token of its own, as in Llama 2, so that numbers are spelled alike. Default false. */
  splitDigits?: boolean;
  /**
   * Learns from characters, and spells those that are too rare for a token as bytes, as Llama 2 does. Default false:
   * learns from bytes, as GPT-2 does.
   */
  byteFallback?: boolean;
}

/** What goes with one run of `trainTokenizer`. */
export interface TrainingRun {
  /** Threads that count words. Default: as many as the machine runs at once. The result does not depend on it. */
  threads?: number;
  /** Called now and then, once the documents are read, with the number of tokens so far. */
  onTokens?: (tokens: number) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Learns a BPE vocabulary from documents and returns its tokenizer.json. It is the one that the `BpeTrainer` of
 * Hugging Face's `tokenizers` learns with the same settings from the same documents, token for token.
 *
 * Ids of a byte-level vocabulary: 0 is `<|endoftext|>`, then the special tokens that were asked for, the 256 bytes in
 * the order of their characters, and the merges in the order learned. With byte fallback: `<unk>`, `<s>`, `</s>`, the
 * special tokens, `<0x00>` to `<0xFF>`, the characters that make up 99.95 per cent of the text in the order of their
 * code points, the merges. BPE is greedy: a smaller vocabulary is the beginning of a larger one.
 *
 * @throws TypeError or RangeError for options that cannot be
 * @throws DataError for a corpus that does not give that many tokens
 */
export async function trainTokenizer(
  documents: AsyncIterable<TextPiece> | Iterable<TextPiece>,
  training: TokenizerTraining,
  { threads = availableParallelism(), onTokens, signal }: TrainingRun = {},
): Promise<string> {
  checkTokenizerTraining(new Arguments("trainTokenizer"), "training", training);
  const { vocab, special = [], splitDigits = false, byteFallback = false } = training;
  const units = byteFallback ? "characters" : "bytes";
  const counted = (await countWords(documents, { units, splitDigits }, threads, signal)).take();
  const vocabulary = new Vocabulary();
  const names = [...ownTokens(byteFallback), ...special];
  for (const name of names) vocabulary.add(name);
  const words = byteFallback ? charactersOf(counted, vocabulary, vocab) : wordsOfBytes(counted, vocabulary);
  const merges = await learnMerges(words, vocabulary, vocab, { onTokens, signal });
  if (vocabulary.size < vocab) {
    throw new DataError(
      `tokenizer: expected text enough for a vocabulary of ${vocab} ` +
        `but received text that gives ${merges.length} merges, a vocabulary of ${vocabulary.size}`,
    );
  }
  const learned = { tokens: vocabulary.tokens, merges, special: names.length };
  return byteFallback ? byteFallbackJson(learned, BEGIN) : byteLevelJson(learned, END_OF_TEXT, splitDigits);
}

function charactersOf(counted: CountedWords, vocabulary: Vocabulary, vocab: number): TokenWords {
  // The text `<0x41>` must never become the token of the byte 0x41.
  for (const token of BYTE_TOKENS) vocabulary.reserve(token);
  const alphabet = coveringAlphabet(counted);
  if (vocabulary.size + alphabet.length > vocab) {
    throw new DataError(
      `tokenizer: expected a vocabulary of ${vocabulary.size + alphabet.length} or more, ` +
        `as the text has ${alphabet.length} frequent characters, but received ${vocab}`,
    );
  }
  return wordsOfCharacters(counted, alphabet, vocabulary);
}

/** What is to be trained, with the token that ends a text among its special tokens. */
export function withEndOfText(training: TokenizerTraining, endOfText: string | undefined): TokenizerTraining {
  const { special = [], byteFallback = false } = training;
  if (endOfText === undefined || [...ownTokens(byteFallback), ...special].includes(endOfText)) return training;
  return { ...training, special: [...special, endOfText] };
}

/** Checks what is to be trained. Errors name the options as parts of `name`. */
export function checkTokenizerTraining(check: Arguments, name: string, training: TokenizerTraining): void {
  const {
    special = [],
    splitDigits,
    byteFallback = false,
  } = check.options(name, training, ["vocab", "special", "splitDigits", "byteFallback"]);
  if (splitDigits !== undefined) check.boolean(`${name}.splitDigits`, splitDigits);
  check.boolean(`${name}.byteFallback`, byteFallback);
  const taken = new Set([...ownTokens(byteFallback), ...(byteFallback ? BYTE_TOKENS : [])]);
  for (const [i, token] of check.strings(`${name}.special`, special, 0).entries()) {
    if (token.trim() === "" || taken.has(token)) {
      const expected = "a token that is not blank and not in the vocabulary already";
      check.fail(RangeError, `${name}.special[${i}]`, expected, JSON.stringify(token));
    }
    taken.add(token);
  }
  checkVocab(check, `${name}.vocab`, training);
}

/** Checks the number of tokens: what has a token in any case is the least. */
export function checkVocab(check: Arguments, name: string, training: TokenizerTraining): void {
  const { vocab, special = [], byteFallback = false } = training;
  // With byte fallback, there is at least one character beside the bytes: the mark of a word's beginning.
  const least = ownTokens(byteFallback).length + special.length + 256 + (byteFallback ? 1 : 0);
  check.wholeNumber(name, vocab, least, MAX_TRAINED_VOCAB);
}

function ownTokens(byteFallback: boolean): readonly string[] {
  return byteFallback ? [UNKNOWN, BEGIN, END] : [END_OF_TEXT];
}
