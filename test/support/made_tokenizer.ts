/** Byte-level tokenizers made by hand: GPT-2's 256 characters for bytes, and a few merges. */

const printable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);

/** The 256 bytes as GPT-2 writes them, in the order of the bytes. */
function byteCharacters(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}

/** GPT-2's `pre_tokenizer`, and what stands behind others that split by an expression of their own. */
export const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };

export const endOfText = { id: 0, content: "<|endoftext|>", special: true };

interface TokenizerParts {
  readonly pre_tokenizer?: object | null;
  readonly normalizer?: object | null;
  readonly post_processor?: object;
  readonly added_tokens?: readonly { id: number; content: string; special: boolean }[];
  readonly model?: object;
  /** Pairs to merge, in order. */
  readonly merges?: readonly (readonly [string, string])[];
  /** Bytes among the tokens, all of them unless told. */
  readonly characters?: readonly string[];
}

/** A tokenizer.json: `<|endoftext|>`, the bytes, the merged pairs. */
export function madeTokenizer(parts: TokenizerParts = {}): string {
  const { merges = [], characters = byteCharacters(), model, ...others } = parts;
  const tokens = [endOfText.content, ...characters, ...merges.map((pair) => pair.join(""))];
  const added = (parts.added_tokens ?? [endOfText]).map((token) => {
    return { single_word: false, lstrip: false, rstrip: false, normalized: false, ...token };
  });
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    ...others,
    added_tokens: added,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries([...new Set(tokens)].map((token, id) => [token, id])),
      merges,
      ...model,
    },
  });
}
