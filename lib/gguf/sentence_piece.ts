/**
 * Tokenizers that llama.cpp calls `llama`: SentencePiece's BPE, as Llama 2's. A tokenizer.json has it as BPE with byte
 * fallback behind a normalizer that puts ▁ before a text and for each blank.
 *
 * llama.cpp has no merges: of all neighbours that together are a token it joins those whose token has the highest score,
 * whichever way the token is divided. That is the same where every division of a token into two tokens is a merge, as
 * transformers writes them when it converts SentencePiece's model, and the divisions of one token stand together.
 */
import type { TokenizerJson } from "./tokenizer_json.js";

/** llama.cpp's mark for a blank. */
const MARK = "▁";

/** Why a tokenizer is none of this kind: the key and what is wrong; null: it is one. */
export function sentencePieceProblem(json: TokenizerJson): { key: string; expected: string; received: unknown } | null {
  const { model, normalizer, pre_tokenizer } = json;
  const wrong = (key: string, expected: string, received: unknown) => ({ key, expected, received });
  if (pre_tokenizer) return wrong("pre_tokenizer", "none", pre_tokenizer);
  if (!marksBlanks(normalizer))
    return wrong("normalizer", `one that puts ${MARK} before a text and for each blank`, normalizer);
  for (const key of ["ignore_merges", "continuing_subword_prefix", "end_of_word_suffix"] as const) {
    if (model[key]) return wrong(`model.${key}`, "none", model[key]);
  }
  const missing = byteNames().find((name) => model.vocab[name] === undefined);
  if (missing !== undefined)
    return wrong("model.vocab", `a token for every byte, such as ${missing},`, "none of that name");
  return mergesProblem(model);
}

/** `Prepend ▁` and `Replace " " by ▁`, as Llama 2's. */
function marksBlanks(normalizer: unknown): boolean {
  interface Step {
    readonly type?: string;
    readonly prepend?: string;
    readonly content?: string;
    readonly pattern?: { readonly String?: string };
    readonly normalizers?: readonly Step[];
  }
  const { type, normalizers = [] } = (normalizer ?? {}) as Step;
  const [prepend, replace, ...rest] = normalizers;
  return (
    type === "Sequence" &&
    rest.length === 0 &&
    prepend?.type === "Prepend" &&
    prepend.prepend === MARK &&
    replace?.type === "Replace" &&
    replace.pattern?.String === " " &&
    replace.content === MARK
  );
}

const byteNames = (): string[] =>
  Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);

function mergesProblem({ vocab, merges }: TokenizerJson["model"]) {
  const ranks = mergeRanks(merges);
  for (const token of Object.keys(vocab)) {
    if (!ranks.has(token)) continue;
    const divisions = ranks.get(token)!;
    const characters = [...token];
    for (let at = 1; at < characters.length; at++) {
      const [left, right] = [characters.slice(0, at).join(""), characters.slice(at).join("")];
      if (vocab[left] === undefined || vocab[right] === undefined || divisions.has(left)) continue;
      const received = `none for ${token} as ${left} and ${right}`;
      return {
        key: "model.merges",
        expected: "a merge for every division of a token into two, as SentencePiece has,",
        received,
      };
    }
    const list = [...divisions.values()];
    if (Math.max(...list) - Math.min(...list) < list.length) continue;
    const received = `those of ${token} apart`;
    return { key: "model.merges", expected: "the merges of a token together, as SentencePiece has them,", received };
  }
  return null;
}

/** For each token that merges make, the rank of each by its left half. */
function mergeRanks(merges: TokenizerJson["model"]["merges"]): Map<string, Map<string, number>> {
  const ranks = new Map<string, Map<string, number>>();
  for (const [rank, merge] of merges.entries()) {
    const [left, right] = typeof merge === "string" ? (merge.split(" ") as [string, string]) : merge;
    const token = left + right;
    const divisions = ranks.get(token) ?? new Map<string, number>();
    if (!divisions.has(left)) divisions.set(left, rank);
    ranks.set(token, divisions);
  }
  return ranks;
}

/** Every token's score: the earlier it is merged, the higher. Tokens that no merge makes are joined last. */
export function sentencePieceScores({ merges }: TokenizerJson["model"], tokens: readonly string[]): number[] {
  const ranks = mergeRanks(merges);
  return tokens.map((token) => {
    const divisions = ranks.get(token);
    return 0 - (divisions === undefined ? merges.length + 1 : Math.min(...divisions.values()));
  });
}

/** Whether a token stands for a byte. */
export function isByteToken(token: string): boolean {
  return /^<0x[0-9A-F]{2}>$/.test(token);
}
