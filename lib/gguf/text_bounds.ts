/** The tokens that begin and end a text, as GGUF metadata. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Tokenizer } from "../data/tokenizer.js";
import { CheckpointError, unusable } from "../errors.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { parseCheckpointJson } from "../hf/model_config.js";
import { bool, type GgufMetadata, u32 } from "./format.js";

/** The parts of a tokenizer.json's `post_processor` that matter here. */
export interface PostProcessor {
  readonly type: string;
  readonly processors?: readonly PostProcessor[];
  readonly single?: readonly { readonly SpecialToken?: { readonly id: string } }[];
}

type NamedToken = string | { readonly content?: string } | null | undefined;

/** The parts of a `tokenizer_config.json` that matter here. */
interface TokenizerConfig {
  readonly bos_token?: NamedToken;
  readonly eos_token?: NamedToken;
  readonly add_bos_token?: unknown;
}

/** llama.cpp's names for tokens that end a text: it has three. */
const endKeys = ["eos", "eot", "eom"] as const;

/**
 * The tokens that tokenizer_config.json names, else config.json's, else the end-of-text token: without the keys,
 * llama.cpp takes token 11. A text starts with the beginning token if the tokenizer says so, or if that token also ends
 * a text: then it separates documents, precedes each, and `generate` starts with it.
 * @param tokens every id's token
 * @throws CheckpointError naming an id that is not below the model's vocabulary
 */
export async function textBounds(
  folder: string,
  config: LlamaConfig,
  tokenizer: Tokenizer,
  tokens: readonly string[],
  postProcessor: PostProcessor | null,
): Promise<GgufMetadata> {
  const named = await readTokenizerConfig(folder);
  const idOf = (token: NamedToken): number | null => {
    const content = typeof token === "object" ? token?.content : token;
    const id = content === undefined ? -1 : tokens.indexOf(content);
    return id === -1 ? null : id;
  };
  const bos = idOf(named.bos_token) ?? config.bos_token_id ?? tokenizer.endOfTextId;
  const ends = [...new Set([idOf(named.eos_token) ?? [], config.eos_token_id ?? []].flat())];
  if (ends.length === 0) ends.push(tokenizer.endOfTextId);
  for (const id of [bos, ...ends]) {
    if (id >= 0 && id < tokens.length) continue;
    const path = join(folder, "config.json");
    throw new CheckpointError(
      `${path}: bos_token_id, eos_token_id: expected ids below ${tokens.length} but received ${id}`,
    );
  }
  const addBos = bos === ends[0] || named.add_bos_token === true || beginsWith(postProcessor, tokens[bos]!);
  return {
    "tokenizer.ggml.bos_token_id": u32(bos),
    ...Object.fromEntries(
      ends.slice(0, endKeys.length).map((id, index) => [`tokenizer.ggml.${endKeys[index]}_token_id`, u32(id)]),
    ),
    "tokenizer.ggml.add_bos_token": bool(addBos),
  };
}

/** Whether a post-processor puts this token before a text. */
function beginsWith(processor: PostProcessor | null, token: string): boolean {
  if (processor?.type === "Sequence") return processor.processors!.some((part) => beginsWith(part, token));
  return processor?.type === "TemplateProcessing" && processor.single?.[0]?.SpecialToken?.id === token;
}

async function readTokenizerConfig(folder: string): Promise<TokenizerConfig> {
  const path = join(folder, "tokenizer_config.json");
  if (!existsSync(path)) return {};
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new CheckpointError(`${path}: expected JSON but received ${unusable(cause)}`, { cause });
  });
  return (parseCheckpointJson(text, path) ?? {}) as TokenizerConfig;
}
