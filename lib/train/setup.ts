/** The inputs of a run: its model's shape, its held-out data. */
import { join } from "node:path";
import { checkContext, checkFreeze } from "../config/checks.js";
import type { RunConfig } from "../config/config.js";
import type { TokenDataset } from "../data/dataset.js";
import { CheckpointError, ConfigError } from "../errors.js";
import { modelFolder } from "../hf/hub_cache.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { readModelConfig } from "../hf/model_config.js";
import { type HeldOut, heldOutTokens } from "./held_out.js";
import type { RunTokenizer } from "./run_tokenizer.js";

/** Keys of a model's shape that must be equal in a config and the checkpoint it begins with. */
const decisive = [
  "vocab_size",
  "hidden_size",
  "intermediate_size",
  "num_hidden_layers",
  "num_attention_heads",
  "num_key_value_heads",
  "head_dim",
  "tie_word_embeddings",
] as const satisfies readonly (keyof LlamaConfig)[];

/**
 * The model's shape: the config's, or that of the checkpoint it begins with.
 * @throws ConfigError if there is no model, or the checkpoint's context is shorter than the run's sequences
 * @throws CheckpointError if the checkpoint cannot be read, or differs from the config's model
 */
export async function modelShape(config: RunConfig, tokenizer: RunTokenizer | null): Promise<LlamaConfig> {
  if (!("from" in config.init)) {
    if (config.model === null) throw new ConfigError("model: expected a model, or init.from with a checkpoint");
    if (tokenizer === null) return checkEnds(config.model);
    // A text begins as the tokenizer begins it, and ends at the token that separates the documents of this data.
    return { ...config.model, bos_token_id: tokenizer.beginId, eos_token_id: tokenizer.endOfTextId };
  }
  const folder = modelFolder(config.init.from);
  const found = await readModelConfig(folder);
  const path = join(folder, "config.json");
  const problems: string[] = [];
  const context = `max_position_embeddings of ${path}`;
  checkContext(config, context, found.max_position_embeddings, (problem) => problems.push(problem));
  checkFreeze(config.optimizer.freeze ?? [], found, (problem) => problems.push(problem));
  if (problems.length > 0) throw new ConfigError(problems.join("\n"), { problems });
  if (config.model === null) return found;
  for (const key of decisive) {
    if (found[key] === config.model[key]) continue;
    throw new CheckpointError(
      `${path}: ${key}: expected ${config.model[key]}, as the run's model section says, but received ${found[key]}; ` +
        "leave the section out to take the checkpoint's",
    );
  }
  return found;
}

/** Where no tokenizer says which tokens begin and end a text, the model must have those that its config names. */
function checkEnds(model: LlamaConfig): LlamaConfig {
  for (const key of ["bos_token_id", "eos_token_id"] as const) {
    const ids = [model[key] ?? []].flat();
    const other = ids.find((id) => id < 0 || id >= model.vocab_size);
    if (other === undefined) continue;
    throw new ConfigError(
      `model.${key}: expected ids of tokens, from 0 to below vocab_size, ${model.vocab_size}, but received ${other}`,
    );
  }
  return model;
}

/** The held-out sequences of a run, or null if it has none. */
export async function readHeldOut(
  config: RunConfig,
  dataset: TokenDataset | null,
  vocabulary: number,
): Promise<HeldOut | null> {
  if (config.eval === null || dataset === null) return null;
  return heldOutTokens(dataset, config.eval.sequences, config.batch.sequenceLength, vocabulary);
}
