/** Reads the JSON files of a run's folder. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { ConfigError, unusable } from "../errors.js";

/**
 * Reads a JSON file of a run's folder, or null if there is none.
 * @param what the file holds, for messages
 * @throws ConfigError if it cannot be read
 */
export async function readRunJson(path: string, what: string): Promise<object | null> {
  if (!existsSync(path)) return null;
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new ConfigError(`${path}: expected ${what} but received ${unusable(cause)}`, { cause });
  });
  const json = parse(text);
  if (typeof json === "object" && json !== null) return json;
  throw new ConfigError(`${path}: expected ${what} as a JSON object but received other text`);
}

/** Undefined for invalid JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
