/** The fixtures of test/fixtures/scoring; make.py there says what they are. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import type { ItemForm, ScoreItem } from "../../lib/evaluate/items.js";

export const scoringFolder = fileURLToPath(new URL("../fixtures/scoring", import.meta.url));
export const forms: readonly ItemForm[] = ["choices", "contexts", "continuation"];
export const tokenizerNames = ["plain", "bos"] as const;

interface FormResults {
  readonly logLikelihoods: readonly (readonly number[])[];
  readonly greedy: readonly (readonly number[])[];
  readonly scores: Readonly<Record<string, number>>;
}

interface TextResults {
  readonly wordPerplexity: number;
  readonly bytePerplexity: number;
  readonly bitsPerByte: number;
  readonly tokens: number;
  readonly words: number;
  readonly bytes: number;
}

interface Results {
  readonly items: Readonly<Record<ItemForm, FormResults>>;
  readonly shots: Readonly<Record<ItemForm, readonly (readonly number[])[]>>;
  readonly text: Readonly<Record<number, TextResults>>;
}

interface Reference {
  readonly items: Readonly<Record<ItemForm, readonly ScoreItem[]>>;
  readonly shots: Readonly<Record<ItemForm, readonly ScoreItem[]>>;
  readonly documents: readonly string[];
  readonly results: Readonly<Record<(typeof tokenizerNames)[number], Results>>;
}

export const reference = JSON.parse(
  gunzipSync(readFileSync(`${scoringFolder}/reference.json.gz`)).toString(),
) as Reference;
