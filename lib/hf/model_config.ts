/** The configuration in a model's folder. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError } from "../errors.js";
import { parseLlamaConfig } from "./config.js";
import type { LlamaConfig } from "./llama_config.js";

/** Reads a folder's configuration. @throws CheckpointError where it is none of a Llama, with all problems, one a line */
export async function readModelConfig(folder: string): Promise<LlamaConfig> {
  const path = join(folder, "config.json");
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new CheckpointError(`${path}: expected a model's configuration: ${(cause as Error).message}`, { cause });
  }
  try {
    return parseLlamaConfig(json, path);
  } catch (cause) {
    throw new CheckpointError((cause as Error).message, { cause });
  }
}
