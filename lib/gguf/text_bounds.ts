/** The tokens that begin and end a text, as GGUF metadata. */
import { join } from "node:path";
import type { Tokenizer } from "../data/tokenizer.js";
import { configuredTokens, TOKENIZER_JSON } from "../data/tokenizer_files.js";
import { CheckpointError } from "../errors.js";
import { readEnds } from "../hf/generation_config.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { bool, type GgufMetadata, u32 } from "./format.js";

/** llama.cpp's names for tokens that end a text: it has three. */
const endKeys = ["eos", "eot", "eom"] as const;

/**
 * The tokens that tokenizer_config.json names, else those of generation_config.json and config.json, else the
 * end-of-text token: without the keys, llama.cpp takes token 11. A text begins and ends as the tokenizer's post-processor
 * says.
 * @param tokens every id's token
 * @throws CheckpointError naming an id that is not below the model's vocabulary, or a post-processor that llama.cpp has
 *   no key for; DataError for one that puts different tokens around different texts
 */
export async function textBounds(
  folder: string,
  config: LlamaConfig,
  tokenizer: Tokenizer,
  tokens: readonly string[],
): Promise<GgufMetadata> {
  const named = await configuredTokens(join(folder, TOKENIZER_JSON));
  const idOf = (token: string | undefined): number | null => {
    const id = token === undefined ? -1 : tokens.indexOf(token);
    return id === -1 ? null : id;
  };
  const ends = [...new Set([idOf(named.eos_token) ?? [], await readEnds(folder, config)].flat())];
  if (ends.length === 0) ends.push(tokenizer.endOfTextId);
  const { before, after } = await tokenizer.frame();
  const [first = idOf(named.bos_token) ?? config.bos_token_id ?? ends[0]!, ...rest] = before;
  if (rest.length > 0 || after.some((id, index) => index > 0 || id !== ends[0])) {
    const names = (ids: readonly number[]) => ids.map((id) => tokens[id] ?? id).join(" ") || "nothing";
    throw new CheckpointError(
      `${join(folder, TOKENIZER_JSON)}: post_processor: expected at most a token before a text, and after it ` +
        `${names(ends.slice(0, 1))} or nothing, as GGUF takes it, but received ${names(before)} before it and ` +
        `${names(after)} after it`,
    );
  }
  const pad = idOf(named.pad_token) ?? config.pad_token_id;
  for (const id of [first, ...ends, pad ?? 0]) {
    if (id >= 0 && id < tokens.length) continue;
    throw new CheckpointError(
      `${join(folder, "config.json")}: bos_token_id, eos_token_id, pad_token_id: expected ids below ${tokens.length} ` +
        `but received ${id}`,
    );
  }
  return {
    "tokenizer.ggml.bos_token_id": u32(first),
    ...Object.fromEntries(
      ends.slice(0, endKeys.length).map((id, index) => [`tokenizer.ggml.${endKeys[index]}_token_id`, u32(id)]),
    ),
    ...(pad === null ? {} : { "tokenizer.ggml.padding_token_id": u32(pad) }),
    "tokenizer.ggml.add_bos_token": bool(before.length > 0),
    "tokenizer.ggml.add_eos_token": bool(after.length > 0),
  };
}
