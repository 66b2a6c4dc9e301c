/** Usage errors of a command that the library detects. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isArgumentError } from "../arguments.js";
import { ConfigError } from "../errors.js";
import { modelFolder } from "../hf/hub_cache.js";

/**
 * Calls a library function with values from flags. An argument error for a value from a flag becomes a ConfigError that
 * names the flag, and the command exits with 2; every other error stays a failure.
 * @param operation the function, as its errors name it
 * @param flags the flag, the command's argument or the line of a file that each argument, option such as `batch.size`
 *   or element such as `prompts[3]` comes from
 */
export async function fromFlags<T>(
  operation: string,
  flags: Readonly<Record<string, string>>,
  call: () => T | Promise<T>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isArgumentError(error) || error.operation !== operation) throw error;
    const [path = "", name = ""] = /^(\w+)[\w.]*/.exec(error.argument) ?? [];
    const flag = flags[error.argument] ?? flags[path] ?? flags[name];
    if (flag === undefined) throw error;
    const problem = error.message.slice(`${operation}: ${error.argument}: `.length);
    throw new ConfigError(`${flag}: ${problem}`, { cause: error });
  }
}

/** The flag of an option that commander names in camel case. */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * The folder that `--model` names, itself or as `org/name` in Hugging Face's cache. It exists and has a file that the
 * command needs: a wrong name is wrong usage, a fault inside the files is a failure.
 */
export function checkModelFolder(name: string, file?: "tokenizer.json"): string {
  let folder: string;
  try {
    folder = modelFolder(name);
  } catch (cause) {
    throw new ConfigError(`--model: ${(cause as Error).message}`, { cause });
  }
  if (!existsSync(folder)) {
    throw new ConfigError(`--model: expected a model folder but received ${folder}, which does not exist`);
  }
  if (file !== undefined && !existsSync(join(folder, file))) {
    throw new ConfigError(`--model: expected a model folder with its ${file} but received ${folder}, which has none`);
  }
  return folder;
}
