/** Tensors of a checkpoint that the model, as its config describes it, does not have. */
import { CheckpointError } from "../errors.js";
import type { CheckpointTensors } from "./checkpoint_tensors.js";
import type { LlamaConfig } from "./llama_config.js";
import { parameterTable } from "./names.js";
import { tensorPieces } from "./tensor_pieces.js";

/** Buffers that older versions of transformers saved: they follow from the config. */
const BUFFERS = /\.(rotary_emb\.inv_freq|masked_bias|attn\.bias)$/;

/** Names that errors and messages list. */
const LISTED = 4;

/**
 * Checks that a checkpoint has no tensor that would change what the model computes, such as a bias, a norm of queries, or
 * a head of its own beside `tie_word_embeddings: true`.
 * @returns tensors of other parts, such as a vision tower, which change nothing here: to be told
 * @throws CheckpointError naming the tensors
 */
export async function checkUnasked(tensors: CheckpointTensors, config: LlamaConfig): Promise<readonly string[]> {
  const asked = new Set(parameterTable(config).map(({ name }) => name));
  const unasked = tensors.names().filter((name) => !asked.has(name) && !BUFFERS.test(name));
  const own = unasked.filter((name) => /^(model|lm_head)\./.test(name));
  const decisive: string[] = [];
  for (const name of own) {
    if (name === "lm_head.weight" && (await isEmbedding(tensors))) continue;
    decisive.push(name);
  }
  if (decisive.length > 0) {
    const head = decisive.includes("lm_head.weight") ? " (config.json says tie_word_embeddings: true)" : "";
    throw new CheckpointError(
      `${tensors.folder}: expected no tensor beside those of a ${config.num_hidden_layers}-layer ${config.model_type}, as config.json ` +
        `describes it, but received ${listNames(decisive)}${head}, which would change what the model computes`,
    );
  }
  return unasked.filter((name) => !own.includes(name));
}

/** Names in words. */
export function listNames(names: readonly string[]): string {
  const more = names.length > LISTED ? ` and ${names.length - LISTED} more` : "";
  return `${names.slice(0, LISTED).join(", ")}${more}`;
}

/** Whether a head is the embedding once more, as some tools save a tied one. */
async function isEmbedding(tensors: CheckpointTensors): Promise<boolean> {
  const embedding = "model.embed_tokens.weight";
  if (!tensors.has(embedding)) return false;
  const [a, b] = [tensors.info("lm_head.weight"), tensors.info(embedding)];
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false;
  for await (const { offset, bytes } of tensorPieces(tensors, embedding, 1)) {
    const own = new Uint8Array(bytes.byteLength);
    await tensors.readInto("lm_head.weight", offset, own);
    if (Buffer.compare(own, bytes) !== 0) return false;
  }
  return true;
}
