/** Decides from a `tokenizer.json` where its texts may be cut without its tokens showing it. */
import type { Tokenizer as NativeTokenizer } from "tokenizers";
import { AddedTokens } from "./added_tokens.js";
import { PairRule } from "./pairs.js";
import type { Rule } from "./rule.js";
import { spaces } from "./spaces.js";
import { type Model, type Part, partsOf, plainPattern, regexPattern, type TokenizerJson } from "./tokenizer_json.js";
import { isByteLevel, splitPattern, wordExpression } from "./word_patterns.js";
import { WordRule } from "./words.js";

/** The mark of a space in SentencePiece's vocabularies. */
const MARK = "\u2581";

/** Pre-tokenizers that replace spaces by signs of their own. */
const SIGNS: ReadonlySet<string> = new Set(["ByteLevel", "Metaspace"]);

/** How texts of one tokenizer are cut. */
export interface Cutting {
  readonly rule: Rule;
  readonly addedTokens: AddedTokens;
  /** The tokenizer of text that goes on behind a cut, if the beginning of a text is treated in a way of its own. */
  readonly continuation: NativeTokenizer | undefined;
  /** Whether the text behind an added token is treated as the beginning of a text. */
  readonly beginsAfterTokens: boolean;
}

/** Undefined: its texts must be encoded whole. */
export function cuttingOf(json: string, make: (json: string) => NativeTokenizer): Cutting | undefined {
  const parsed = JSON.parse(json) as TokenizerJson;
  const normalizers = partsOf(parsed.normalizer);
  const pretokenizers = partsOf(parsed.pre_tokenizer);
  const added = parsed.added_tokens ?? [];
  const model = parsed.model ?? {};
  if (model.dropout || !normalizers.every(isLocal)) return undefined;
  const prefix = prefixOf(normalizers, pretokenizers);
  for (const { content, normalized = false, single_word, lstrip, rstrip } of added) {
    const odd = single_word === true || lstrip === true || rstrip === true;
    const changes = normalized && normalizers.length > 0;
    // The places of such a token are not those of its text, or what is beside it belongs to it.
    if (changes && (odd || prefix !== "none" || !/^[\x21-\x7e]+$/.test(content))) return undefined;
    if (odd && prefix !== "none") return undefined;
  }
  if (prefix === "normalizer" && prefixOf([], pretokenizers) !== "none") return undefined;
  // Where one part has put its sign for a space, another finds none, and puts its own before it.
  if (prefix === "pretokenizer" && pretokenizers.filter(({ type }) => SIGNS.has(type)).length > 1) return undefined;
  const continued = prefix === "none" ? undefined : make(JSON.stringify(withoutPrefix(parsed)));
  const rule = ruleOf(normalizers, pretokenizers, model, () => continued ?? make(json));
  if (rule === undefined) return undefined;
  return {
    rule,
    addedTokens: new AddedTokens(added),
    // Behind a cut is a space, or what the mark of one would be put before only at the beginning of a text.
    continuation: rule === spaces && prefix === "pretokenizer" ? undefined : continued,
    beginsAfterTokens: !pretokenizers.some((part) => part.type === "Metaspace" && schemeOf(part) === "first"),
  };
}

function ruleOf(
  normalizers: readonly Part[],
  pretokenizers: readonly Part[],
  model: Model,
  continuation: () => NativeTokenizer,
): Rule | undefined {
  const composes = normalizers.length === 1 && normalizers[0]!.type === "NFC";
  const expression = normalizers.length === 0 || composes ? wordExpression(pretokenizers) : undefined;
  // A prefix of another part than the first comes before each of its words.
  if (expression !== undefined && !pretokenizers.slice(1).some(prepends)) {
    const tokenizer = continuation();
    const pretokenizer = tokenizer.getPreTokenizer()!;
    const split = (text: string): number[] => pretokenizer.preTokenizeString(text).map(([, [, end]]) => end);
    const normalizer = composes ? tokenizer.getNormalizer()! : undefined;
    return new WordRule(expression, split, (c) => normalizer === undefined || staysAlone(c, normalizer));
  }
  if (isWhole(normalizers, pretokenizers)) return pairRule(normalizers, pretokenizers, model);
  return pretokenizers.every(isNarrow) && isSplitAtSpaces(normalizers, pretokenizers) ? spaces : undefined;
}

// ---- Normalizers ----------------------------------------------------------------------------------------------

/** Whether a normalizer leaves a space between an ASCII letter or digit and a letter, and does not see across it. */
function isLocal(part: Part): boolean {
  switch (part.type) {
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
    case "Lowercase":
    case "StripAccents":
    case "BertNormalizer":
    case "Nmt":
    case "Precompiled":
    case "Prepend":
      return true;
    case "Replace": {
      const plain = plainPattern(part);
      if (plain !== undefined) return plain === " " ? part.content === MARK : !/[\sA-Za-z0-9\u2581]/.test(plain);
      // Runs of two spaces or more.
      return regexPattern(part) === " {2,}";
    }
    default:
      return false;
  }
}

/** Whether NFC leaves a character alone, whatever stands beside it. */
function staysAlone(character: string, normalizer: { normalizeString(text: string): string }): boolean {
  const code = character.codePointAt(0)!;
  const isJamo = code >= 0x1100 && code < 0x1200;
  const isOtherScript = code > 0xffff && !(code >= 0x1f000 && code < 0x1fb00) && !(code >= 0x20000 && code < 0x32000);
  return !isJamo && !isOtherScript && !/\p{M}/u.test(character) && normalizer.normalizeString(character) === character;
}

// ---- The beginning of a text ----------------------------------------------------------------------------------

function schemeOf({ prepend_scheme, add_prefix_space }: Part): string {
  return prepend_scheme ?? ((add_prefix_space ?? true) ? "always" : "never");
}

/** Whether a pre-tokenizer puts something before what it gets. */
function prepends(part: Part): boolean {
  if (part.type === "Metaspace") return schemeOf(part) !== "never";
  return part.type === "ByteLevel" && (part.add_prefix_space ?? true);
}

/** What puts something before a text. */
function prefixOf(
  normalizers: readonly Part[],
  pretokenizers: readonly Part[],
): "none" | "normalizer" | "pretokenizer" {
  if (normalizers.some(({ type }) => type === "Prepend")) return "normalizer";
  return pretokenizers.some(prepends) ? "pretokenizer" : "none";
}

/** The tokenizer that puts nothing before a text. */
function withoutPrefix(json: TokenizerJson): TokenizerJson {
  const pretokenizers = partsOf(json.pre_tokenizer).map((part) => {
    if (part.type === "ByteLevel") return { ...part, add_prefix_space: false };
    if (part.type === "Metaspace") return { ...part, prepend_scheme: "never", add_prefix_space: false };
    return part;
  });
  const normalizers = partsOf(json.normalizer).filter(({ type }) => type !== "Prepend");
  return {
    ...json,
    normalizer: normalizers.length > 0 ? { type: "Sequence", normalizers } : null,
    pre_tokenizer: pretokenizers.length > 0 ? { type: "Sequence", pretokenizers } : null,
  };
}

// ---- Pre-tokenizers -------------------------------------------------------------------------------------------

/** Whether a pre-tokenizer splits before a space between ASCII letters. */
function splitsAtSpaces(part: Part): boolean {
  switch (part.type) {
    case "Whitespace":
    case "WhitespaceSplit":
    case "BertPreTokenizer":
      return true;
    case "Metaspace":
      return part.split ?? true;
    case "CharDelimiterSplit":
      return part.delimiter === " ";
    default:
      return isByteLevel(part, true) || splitPattern(part) !== undefined;
  }
}

/** Whether a list of pre-tokenizers splits before such a space, as far as it is still one when it gets there. */
function isSplitAtSpaces(normalizers: readonly Part[], pretokenizers: readonly Part[]): boolean {
  const first = pretokenizers.find((part) => splitsAtSpaces(part) || !["Digits", "Punctuation"].includes(part.type));
  if (first === undefined || !splitsAtSpaces(first)) return false;
  const marks = normalizers.some((part) => plainPattern(part) === " ");
  return !marks || (first.type === "Metaspace" && first.replacement === MARK);
}

/** Whether a pre-tokenizer does the same on both sides of such a space, whatever is on the other. */
function isNarrow(part: Part): boolean {
  return splitsAtSpaces(part) || ["Digits", "Punctuation", "ByteLevel", "Metaspace"].includes(part.type);
}

/** Whether the model gets texts whole, their spaces replaced by marks. */
function isWhole(normalizers: readonly Part[], pretokenizers: readonly Part[]): boolean {
  const marks = normalizers.some((part) => plainPattern(part) === " " && part.content === MARK);
  const others = normalizers.filter((part) => part.type !== "Prepend" && plainPattern(part) !== " ");
  if (others.length > 0 || pretokenizers.length > 1) return false;
  const [part] = pretokenizers;
  if (part === undefined) return true;
  if (part.type === "Metaspace") return part.split === false && part.replacement === MARK;
  return part.type === "Split" && marks && plainPattern(part) === " ";
}

// ---- Vocabularies ---------------------------------------------------------------------------------------------

const BYTE_TOKEN = /^<0x[0-9A-F]{2}>$/;

function pairRule(normalizers: readonly Part[], pretokenizers: readonly Part[], model: Model): Rule | undefined {
  if (model.type !== "BPE" || model.ignore_merges === true || !model.merges || !isVocabulary(model.vocab)) {
    return undefined;
  }
  if (model.continuing_subword_prefix || model.end_of_word_suffix) return undefined;
  const tokens = Object.keys(model.vocab);
  const allBytes = model.byte_fallback === true && tokens.filter((token) => BYTE_TOKEN.test(token)).length === 256;
  // Characters without a token of their own become one together, or vanish, so that their neighbours meet.
  if (!allBytes && (!model.unk_token || model.fuse_unk === true)) return undefined;
  const sides = model.merges.map((merge) => (typeof merge === "string" ? merge.split(" ") : merge));
  if (sides.some((merge) => merge.some((side) => BYTE_TOKEN.test(side)))) return undefined;
  const marks = pretokenizers[0]?.type === "Metaspace" || normalizers.some((part) => plainPattern(part) === " ");
  return new PairRule(
    sides.map(([left, right]) => `${left}${right}`),
    marks ? MARK : " ",
  );
}

function isVocabulary(vocab: unknown): vocab is Record<string, number> {
  return typeof vocab === "object" && vocab !== null && !Array.isArray(vocab);
}
