/** Usage errors of a command that the library detects. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isArgumentError } from "../arguments.js";
import { ConfigError } from "../errors.js";

/**
 * Calls a library function with values from flags. An argument error for a value from a flag becomes a ConfigError that
 * names the flag, and the command exits with 2; every other error stays a failure.
 * @param operation the function, as its errors name it
 * @param flags the flag, or the command's argument, that each argument, or option such as `batch.size`, comes from
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
    const flag = flags[path] ?? flags[name];
    if (flag === undefined) throw error;
    const problem = error.message.slice(`${operation}: ${error.argument}: `.length);
    throw new ConfigError(`${flag}: ${problem}`, { cause: error });
  }
}

/**
 * Checks that the folder of `--model` exists and has a file that the command needs. A wrong name is wrong usage; a
 * fault inside the files is a failure.
 */
export function checkModelFolder(folder: string, file?: "tokenizer.json"): void {
  if (!existsSync(folder)) {
    throw new ConfigError(`--model: expected a model folder but received ${folder}, which does not exist`);
  }
  if (file !== undefined && !existsSync(join(folder, file))) {
    throw new ConfigError(`--model: expected a model folder with its ${file} but received ${folder}, which has none`);
  }
}
