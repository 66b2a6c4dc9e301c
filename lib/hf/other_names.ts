/** Names of tensors in checkpoints that other tools than `save_pretrained` of a causal model have written. */
import type { LlamaConfig } from "./llama_config.js";

const EMBEDDING = "model.embed_tokens.weight";
const HEAD = "lm_head.weight";

/**
 * The names that a model of this config has for tensors which a checkpoint has under others:
 * - without `model.`, as `save_pretrained` of a model without its head writes them;
 * - a tied embedding as the head alone, as `save_model` of safetensors keeps one of two names, the first by alphabet.
 * @param names those in the checkpoint
 * @returns the model's names by the checkpoint's; the others are the same
 */
export function ownNames(names: readonly string[], config: LlamaConfig): ReadonlyMap<string, string> {
  const there = new Set(names);
  if (there.has(EMBEDDING)) return new Map();
  const bare = EMBEDDING.slice("model.".length);
  if (there.has(bare)) {
    return new Map(
      names.filter((name) => /^(embed_tokens|layers|norm)\./.test(name)).map((name) => [name, `model.${name}`]),
    );
  }
  return config.tie_word_embeddings && there.has(HEAD) ? new Map([[HEAD, EMBEDDING]]) : new Map();
}

/** A name that ends in the one that is missing: a wrapper, such as `torch.compile`, puts its own before each. */
export function similarName(names: readonly string[], missing: string): string | null {
  const end = `.${missing}`;
  return names.find((name) => name.endsWith(end)) ?? null;
}
