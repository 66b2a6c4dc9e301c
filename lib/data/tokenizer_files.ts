/** The files of a tokenizer in a Hugging Face folder. */
import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { show } from "../arguments.js";
import { inputLimits } from "../disk/input_limits.js";
import { parseJsonOf } from "../disk/json.js";
import { readWhole } from "../disk/read_text.js";
import { DataError, unusable } from "../errors.js";

/** The file that holds the tokenizer itself. */
export const TOKENIZER_JSON = "tokenizer.json";

/** Files that may lie beside a `tokenizer.json` and belong to it. */
export const TOKENIZER_COMPANIONS: readonly string[] = [
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "chat_template.jinja",
  "chat_template.json",
  "tokenizer.model",
  "vocab.json",
  "merges.txt",
  "vocab.txt",
];

/** The path of the `tokenizer.json` that is named by itself or by its folder. */
export async function tokenizerPath(path: string): Promise<string> {
  const facts = await stat(path).catch(() => undefined);
  return facts?.isDirectory() && basename(path) !== TOKENIZER_JSON ? join(path, TOKENIZER_JSON) : path;
}

/**
 * The content of a tokenizer's file that may be absent; null: it is. A file of another name than `tokenizer.json` has
 * none: what lies beside it may be another tokenizer's.
 * @throws DataError if the file cannot be read
 */
export async function readCompanion(path: string, name: string): Promise<Buffer | null> {
  if (basename(path) !== TOKENIZER_JSON) return null;
  const companion = join(dirname(path), name);
  return readWhole(companion, inputLimits.tokenizer).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return null;
    throw new DataError(`${companion}: expected a tokenizer's file but received ${unusable(cause)}`, { cause });
  });
}

/** Whether a SentencePiece model lies where a `tokenizer.json` was looked for. */
export async function sentencePieceBeside(path: string): Promise<boolean> {
  return (await readCompanion(path, "tokenizer.model")) !== null;
}

/** The tokens that a `tokenizer_config.json` names. */
export interface ConfiguredTokens {
  readonly bos_token?: string;
  readonly eos_token?: string;
  readonly pad_token?: string;
}

/**
 * What the `tokenizer_config.json` beside a tokenizer names; nothing if there is none.
 * @throws DataError if the file is not what its name says
 */
export async function configuredTokens(path: string): Promise<ConfiguredTokens> {
  const content = await readCompanion(path, "tokenizer_config.json");
  if (content === null) return {};
  const file = join(dirname(path), "tokenizer_config.json");
  const config = parseJsonOf(content.toString(), file, DataError) as Record<string, unknown> | null;
  const tokens: Record<string, string> = {};
  for (const key of ["bos_token", "eos_token", "pad_token"]) {
    const token = config?.[key] ?? undefined;
    const text = typeof token === "object" ? (token as { content?: unknown }).content : token;
    if (text === undefined) continue;
    if (typeof text !== "string") {
      throw new DataError(`${file}: ${key}: expected a token or null but received ${show(token)}`);
    }
    tokens[key] = text;
  }
  return tokens;
}
