/** Bytes as tokens: the characters that stand for them in a byte-level vocabulary, which are GPT-2's. */
import type { TokenWords } from "./learn_merges.js";
import type { Vocabulary } from "./vocabulary.js";
import type { CountedWords } from "./word_counts.js";

/**
 * The character of each byte. Visible characters of Latin-1 stand for themselves, the other bytes in order for the
 * characters from U+0100 on.
 */
export const BYTE_CHARACTERS: readonly string[] = byteCharacters();

function byteCharacters(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const isVisible = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    return String.fromCharCode(isVisible ? byte : next++);
  });
}

/** Adds the 256 bytes to the vocabulary, by the code points of their characters, and gives the words' bytes. */
export function wordsOfBytes({ bytes, ends, counts }: CountedWords, vocabulary: Vocabulary): TokenWords {
  for (const character of [...BYTE_CHARACTERS].sort()) vocabulary.add(character);
  const numbers = Int32Array.from(BYTE_CHARACTERS, (character) => vocabulary.add(character));
  const tokens = new Int32Array(bytes.length);
  for (let i = 0; i < tokens.length; i++) tokens[i] = numbers[bytes[i]!]!;
  const starts = new Int32Array(ends.length);
  const lengths = new Int32Array(ends.length);
  for (let word = 0; word < ends.length; word++) {
    starts[word] = word === 0 ? 0 : ends[word - 1]!;
    lengths[word] = ends[word]! - starts[word]!;
  }
  return { tokens, starts, lengths, counts };
}
