/** Writes trained vocabularies as a tokenizer.json. */
import { WORD_MARK } from "./character_alphabet.js";

/** What was learned. */
export interface Learned {
  /** Tokens in the order of their ids. */
  readonly tokens: readonly string[];
  /** Ids of two tokens that become one, in order. */
  readonly merges: readonly (readonly [left: number, right: number])[];
  /** How many tokens, from id 0 on, are special. */
  readonly special: number;
}

const BYTE_LEVEL = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };

/**
 * A byte-level vocabulary, as GPT-2's. The token that separates documents also begins a text, as every document that a
 * model is trained on begins with it.
 */
export function byteLevelJson(learned: Learned, separator: string, splitDigits: boolean): string {
  const digits = { type: "Digits", individual_digits: true };
  return tokenizerJson(learned, {
    normalizer: null,
    pre_tokenizer: splitDigits ? { type: "Sequence", pretokenizers: [digits, BYTE_LEVEL] } : BYTE_LEVEL,
    post_processor: beginWith(separator, learned),
    decoder: BYTE_LEVEL,
    model: { unk_token: null, fuse_unk: false, byte_fallback: false },
  });
}

/**
 * A vocabulary of characters with bytes to fall back to, as Llama 2's, in the form that transformers 5 makes of any
 * `LlamaTokenizer`: no normalizer, and `Metaspace` that marks the start of the text and does not split. The words that
 * the merges were learned from need no splitting: no merge reaches over the border of two of them.
 */
export function byteFallbackJson(learned: Learned, beginOfText: string): string {
  return tokenizerJson(learned, {
    normalizer: null,
    pre_tokenizer: { type: "Metaspace", replacement: WORD_MARK, prepend_scheme: "first", split: false },
    post_processor: beginWith(beginOfText, learned),
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: WORD_MARK }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: { unk_token: "<unk>", fuse_unk: true, byte_fallback: true },
  });
}

/** A post-processor that puts a token before a text. */
function beginWith(token: string, { tokens }: Learned): object {
  const id = tokens.indexOf(token);
  const begin = { SpecialToken: { id: token, type_id: 0 } };
  const [first, second] = ["A", "B"].map((name, typeId) => ({ Sequence: { id: name, type_id: typeId } }));
  return {
    type: "TemplateProcessing",
    single: [begin, first],
    pair: [begin, first, { SpecialToken: { id: token, type_id: 1 } }, second],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

function tokenizerJson(
  { tokens, merges, special }: Learned,
  { model, ...parts }: { readonly model: object } & Record<string, unknown>,
): string {
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: tokens.slice(0, special).map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    ...parts,
    model: {
      type: "BPE",
      dropout: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      ignore_merges: false,
      ...model,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.map(([left, right]) => [tokens[left], tokens[right]]),
    },
  });
}
