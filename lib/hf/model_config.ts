/** The configuration in a model's folder. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { inputLimits } from "../disk/input_limits.js";
import { parseJsonOf } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import { CheckpointError, unusable } from "../errors.js";
import { parseLlamaConfig } from "./config.js";
import { foreignFolder, isAdapter } from "./foreign_folder.js";
import type { LlamaConfig } from "./llama_config.js";

/**
 * Reads a model folder's configuration. Every function that takes such a folder does this first.
 * @throws CheckpointError if there is no such folder, or no Llama configuration in it, with a line for each problem
 */
export async function readModelConfig(folder: string): Promise<LlamaConfig> {
  if (!existsSync(folder)) {
    throw new CheckpointError(`${folder}: expected a model folder but received a folder that does not exist`);
  }
  if (isAdapter(folder)) {
    throw new CheckpointError(`${folder}: expected a model's configuration but received ${foreignFolder(folder)}`);
  }
  const path = join(folder, "config.json");
  const text = await readText(path, inputLimits.smallJson).catch((cause: unknown) => {
    throw new CheckpointError(`${path}: expected a model's configuration but received ${unusable(cause)}`, { cause });
  });
  const json = parseJsonOf(text, path, CheckpointError, "a model's configuration as JSON");
  try {
    return parseLlamaConfig(json, path);
  } catch (cause) {
    throw new CheckpointError((cause as Error).message, { cause });
  }
}
