/** The `generation_config.json` of a model folder. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { inputLimits } from "../disk/input_limits.js";
import { parseJsonOf } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import { CheckpointError, unusable } from "../errors.js";
import { Fields } from "./fields.js";
import type { LlamaConfig } from "./llama_config.js";

/**
 * The tokens that end a generation, as in transformers: `eos_token_id` of `generation_config.json`, else of
 * `config.json`. Empty if neither says it.
 * @throws CheckpointError if the file cannot be read, or the key is no token id and no list of them
 */
export async function readEnds(folder: string, config: LlamaConfig): Promise<readonly number[]> {
  const path = join(folder, "generation_config.json");
  const problems: string[] = [];
  let ends: number | readonly number[] | null = null;
  if (existsSync(path)) {
    const text = await readText(path, inputLimits.smallJson).catch((cause: unknown) => {
      throw new CheckpointError(`${path}: expected JSON but received ${unusable(cause)}`, { cause });
    });
    const json = (parseJsonOf(text, path, CheckpointError) ?? {}) as Record<string, unknown>;
    const fields = new Fields(json, (key, problem) => problems.push(`${path}: ${key}: ${problem}`));
    ends = fields.tokenIds("eos_token_id", null);
  }
  if (problems.length > 0) throw new CheckpointError(problems.join("\n"));
  return [ends ?? config.eos_token_id ?? []].flat();
}
