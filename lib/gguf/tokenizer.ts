/** A tokenizer.json as GGUF metadata: byte-level BPE, which llama.cpp calls `gpt2`, or SentencePiece's, called `llama`. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { show } from "../arguments.js";
import { Tokenizer } from "../data/tokenizer.js";
import { CheckpointError } from "../errors.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { bool, floats, type GgufMetadata, integers, text, texts } from "./format.js";
import { ggufPreTokenizer } from "./pre_tokenizer.js";
import { isByteToken, sentencePieceProblem, sentencePieceScores } from "./sentence_piece.js";
import { textBounds } from "./text_bounds.js";
import type { TokenizerJson } from "./tokenizer_json.js";

/** llama.cpp's token types. */
const normal = 1;
const unknown = 2;
const control = 3;
const userDefined = 4;
const unused = 5;
const byte = 6;

/**
 * The tokenizer of a model folder. It has as many tokens as the model's embedding has rows: ids without a token are
 * named [PAD…] and marked as unused.
 * @throws CheckpointError if there is no tokenizer.json, it does not fit the model, or llama.cpp has no tokenizer that
 *   gives the same ids; DataError if it is damaged
 */
export async function tokenizerMetadata(folder: string, config: LlamaConfig): Promise<GgufMetadata> {
  const path = join(folder, "tokenizer.json");
  if (!existsSync(path)) {
    throw new CheckpointError(`${path}: expected the model's tokenizer but received a file that does not exist`);
  }
  const tokenizer = await Tokenizer.fromFile(path);
  if (tokenizer.vocabSize > config.vocab_size) {
    throw new CheckpointError(
      `${path}: expected at most the model's ${config.vocab_size} tokens but received ${tokenizer.vocabSize}`,
    );
  }
  const json = JSON.parse(tokenizer.json) as TokenizerJson;
  const { tokens, types } = tokenList(json, config.vocab_size);
  const own = json.model.byte_fallback ? sentencePiece(json, path, tokens) : byteLevel(json, path);
  return {
    "tokenizer.ggml.model": text(own.model),
    ...own.metadata,
    "tokenizer.ggml.tokens": texts(tokens),
    "tokenizer.ggml.token_type": integers(types),
    ...(await textBounds(folder, config, tokenizer, tokens)),
  };
}

/** What distinguishes one of llama.cpp's tokenizers. */
interface OwnMetadata {
  readonly model: string;
  readonly metadata: GgufMetadata;
}

function byteLevel(json: TokenizerJson, path: string): OwnMetadata {
  const merges = json.model.merges.map((pair) => (typeof pair === "string" ? pair : pair.join(" ")));
  const metadata = {
    "tokenizer.ggml.pre": text(checkedPreTokenizer(json, path)),
    "tokenizer.ggml.merges": texts(merges),
  };
  return { model: "gpt2", metadata };
}

/** @throws CheckpointError if llama.cpp's tokenizer would give other ids */
function sentencePiece(json: TokenizerJson, path: string, tokens: readonly string[]): OwnMetadata {
  const problem = sentencePieceProblem(json);
  if (problem !== null) {
    const { key, expected, received } = problem;
    const shown = typeof received === "string" ? received : show(received);
    throw new CheckpointError(
      `${path}: ${key}: expected ${expected} for a vocabulary with byte fallback, as GGUF takes it, but received ${shown}`,
    );
  }
  const metadata = {
    "tokenizer.ggml.pre": text("default"),
    "tokenizer.ggml.scores": floats(sentencePieceScores(json.model, tokens)),
    "tokenizer.ggml.add_space_prefix": bool(true),
  };
  return { model: "llama", metadata };
}

/** llama.cpp's name for the pre-tokenizer. @throws CheckpointError if its tokenizer would give other ids */
function checkedPreTokenizer({ model, normalizer, pre_tokenizer: found }: TokenizerJson, path: string): string {
  const refuse = (key: string, value: unknown): never => {
    throw new CheckpointError(
      `${path}: ${key}: expected that of a byte-level BPE without a normalizer that splits words as GPT-2, SmolLM, ` +
        `Llama 3 or Qwen 2 does, as GGUF takes it, but received ${show(value)}`,
    );
  };
  if (model.type !== "BPE") refuse("model.type", model.type);
  for (const key of ["continuing_subword_prefix", "end_of_word_suffix"] as const) {
    if (model[key]) refuse(`model.${key}`, model[key]);
  }
  if (normalizer) refuse("normalizer", normalizer);
  const ignoreMerges = model.ignore_merges === true;
  const key = ignoreMerges ? "pre_tokenizer, with model.ignore_merges" : "pre_tokenizer";
  return ggufPreTokenizer(found ?? null, ignoreMerges) ?? refuse(key, found ?? null);
}

/** Every id's token and its kind, for ids from 0 to below `size`. */
function tokenList({ model, added_tokens: added = [] }: TokenizerJson, size: number) {
  const kindOf = (token: string): number => {
    if (!model.byte_fallback) return normal;
    if (token === model.unk_token) return unknown;
    return isByteToken(token) ? byte : normal;
  };
  const tokens = Array.from({ length: size }, (_, id) => `[PAD${id}]`);
  const types = new Array<number>(size).fill(unused);
  const put = (token: string, id: number, type: number): void => {
    tokens[id] = token;
    types[id] = type;
  };
  for (const [token, id] of Object.entries(model.vocab)) put(token, id, kindOf(token));
  for (const { content, id, special } of added) {
    if (model.byte_fallback && content === model.unk_token) continue;
    put(content, model.vocab[content] ?? id, special ? control : userDefined);
  }
  return { tokens, types };
}
