/** Which tokenizer a tokenizer.json holds, without running it. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { inputLimits } from "../disk/input_limits.js";
import { parseJson } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import { DataError, unusable } from "../errors.js";
import { largestId, type Model, type TokenizerJson } from "./encode/tokenizer_json.js";
import type { Tokenizer } from "./tokenizer.js";
import { TOKENIZER_JSON } from "./tokenizer_files.js";

/** A tokenizer, as far as it can be told from another. */
export interface KnownTokenizer {
  /** The file that says it: a tokenizer.json, or a dataset.json. */
  readonly path: string;
  /** SHA-256 of the tokenizer.json, in hex. */
  readonly sha256: string;
  /**
   * Computes a SHA-256 of the parts that decide a text's ids, however they are written: the same for a file that another
   * tool has saved again. Null if only the file's hash is known.
   */
  readonly content: (() => string) | null;
  /** One more than the largest id. */
  readonly vocabSize: number;
}

/** Whether two tokenizers give the same ids, as far as is known. */
export function isSameTokenizer(a: KnownTokenizer, b: KnownTokenizer): boolean {
  return a.sha256 === b.sha256 || (a.content !== null && b.content !== null && a.content() === b.content());
}

/** A tokenizer in words. */
export function describeTokenizer({ path, sha256, vocabSize }: KnownTokenizer): string {
  return `${path} (${vocabSize} tokens, SHA-256 ${sha256.slice(0, 12)}…)`;
}

/** The tokenizer of a folder; null if it has no tokenizer.json. @throws DataError if the file is not one */
export async function knownTokenizer(folder: string): Promise<KnownTokenizer | null> {
  const path = join(folder, TOKENIZER_JSON);
  let text: string;
  try {
    text = await readText(path, inputLimits.tokenizer);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new DataError(`${path}: expected a tokenizer.json but received ${unusable(cause)}`, { cause });
  }
  try {
    const json = parseJson(text);
    if (!isTokenizer(json)) throw new Error("it has no model with a vocabulary");
    const sha256 = createHash("sha256").update(text).digest("hex");
    const added = (json.added_tokens ?? []).reduce((most, { id = -1 }) => Math.max(most, id), -1);
    const vocabSize = Math.max(largestId(json.model), added) + 1;
    if (!Number.isSafeInteger(vocabSize)) throw new Error("its token ids are not whole numbers");
    return { path, sha256, content: () => contentHash(json), vocabSize };
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new DataError(`${path}: expected a tokenizer.json but received other text: ${reason}`, { cause });
  }
}

/** A tokenizer that is loaded. @param data what it belongs to, which names it if it is of no file */
export function knownOf({ file, hash, json, vocabSize }: Tokenizer, data: string): KnownTokenizer {
  const path = file ?? `the tokenizer of ${data}`;
  return { path, sha256: hash, content: () => contentHash(JSON.parse(json) as TokenizerJson), vocabSize };
}

/** Whether the parts that are read here are there. */
function isTokenizer(value: unknown): value is TokenizerJson & { readonly model: Model } {
  if (!isObject(value) || !isObject(value.model)) return false;
  const { added_tokens: added = null, model } = value;
  const { vocab, merges = [] } = model;
  const isMerge = (merge: unknown) => typeof merge === "string" || Array.isArray(merge);
  return (
    (added === null || (Array.isArray(added) && added.every(isObject))) &&
    (Array.isArray(vocab) || isObject(vocab)) &&
    Array.isArray(merges) &&
    merges.every(isMerge)
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Merges are written as pairs or as text; sorted keys make the rest one form. */
function contentHash({ added_tokens, normalizer, pre_tokenizer, model }: TokenizerJson): string {
  const merges = model!.merges?.map((pair) => (typeof pair === "string" ? pair : pair.join(" ")));
  const parts = {
    added_tokens: added_tokens ?? [],
    normalizer: normalizer ?? null,
    pre_tokenizer: pre_tokenizer ?? null,
    model: { ...model!, ...(merges === undefined ? {} : { merges }) },
  };
  return createHash("sha256")
    .update(JSON.stringify(sorted(parts)))
    .digest("hex");
}

/** The same value with its keys in order, and without those that are null or false, which files leave out or not. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== null && inner !== false);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]));
}
