/** Reads the JSON files of a run's folder. */
import { existsSync } from "node:fs";
import { inputLimits } from "../disk/input_limits.js";
import { parseJson } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import { ConfigError, unusable } from "../errors.js";

/**
 * Reads a JSON file of a run's folder, or null if there is none.
 * @param what the file holds, for messages
 * @throws ConfigError if it cannot be read
 */
export async function readRunJson(path: string, what: string): Promise<object | null> {
  if (!existsSync(path)) return null;
  const text = await readText(path, inputLimits.json).catch((cause: unknown) => {
    throw new ConfigError(`${path}: expected ${what} but received ${unusable(cause)}`, { cause });
  });
  const json = parse(text);
  if (typeof json === "object" && json !== null) return json;
  throw new ConfigError(`${path}: expected ${what} as a JSON object but received other text`);
}

/** Undefined for invalid JSON. */
function parse(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
