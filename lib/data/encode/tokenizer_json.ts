/** What is read here of a `tokenizer.json`: the parts that decide where a text may be cut. */

/** An entry of `added_tokens`: text that becomes this token wherever it stands. */
export interface AddedToken {
  readonly id?: number;
  readonly content: string;
  readonly single_word?: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  readonly normalized?: boolean;
}

type Pattern = { readonly String: string } | { readonly Regex: string };

/** A normalizer or pre-tokenizer: its `type`, and whatever else that type has. */
export interface Part {
  readonly type: string;
  readonly normalizers?: readonly Part[];
  readonly pretokenizers?: readonly Part[];
  readonly pattern?: Pattern | string;
  readonly content?: string;
  readonly behavior?: string;
  readonly invert?: boolean;
  readonly replacement?: string;
  readonly prepend_scheme?: string;
  readonly split?: boolean;
  readonly add_prefix_space?: boolean;
  readonly use_regex?: boolean;
  readonly individual_digits?: boolean;
  readonly delimiter?: string;
}

/** A BPE, Unigram, WordPiece or WordLevel model. */
export interface Model {
  readonly type?: string;
  readonly dropout?: number | null;
  readonly unk_token?: string | null;
  readonly fuse_unk?: boolean;
  readonly byte_fallback?: boolean;
  readonly ignore_merges?: boolean;
  readonly continuing_subword_prefix?: string | null;
  readonly end_of_word_suffix?: string | null;
  readonly vocab?: unknown;
  readonly merges?: readonly (string | readonly [string, string])[];
}

export interface TokenizerJson {
  readonly added_tokens?: readonly AddedToken[] | null;
  readonly normalizer?: Part | null;
  readonly pre_tokenizer?: Part | null;
  readonly model?: Model;
}

/** The tokens of a model, in the order of their ids if it is Unigram, which lists them so. */
export function tokensOf({ vocab }: Model): string[] {
  return Array.isArray(vocab) ? vocab.map(([token]: [string]) => token) : Object.keys(vocab as object);
}

/** The largest id of a model's tokens, without those that were added; -1 if there is none. */
export function largestId({ vocab }: Model): number {
  if (Array.isArray(vocab)) return vocab.length - 1;
  let largest = -1;
  for (const id of Object.values(vocab as Record<string, number>)) largest = Math.max(largest, id);
  return largest;
}

/** The parts in the order that they act in, sequences resolved; none: an empty list. */
export function partsOf(part: Part | null | undefined): Part[] {
  if (!part) return [];
  if (part.type === "Sequence") return (part.normalizers ?? part.pretokenizers ?? []).flatMap(partsOf);
  return [part];
}

/** The text that a part looks for, if it is not a regular expression. */
export function plainPattern({ pattern }: Part): string | undefined {
  return typeof pattern === "object" && "String" in pattern ? pattern.String : undefined;
}

/** The regular expression of a part. */
export function regexPattern({ pattern }: Part): string | undefined {
  return typeof pattern === "object" && "Regex" in pattern ? pattern.Regex : undefined;
}
