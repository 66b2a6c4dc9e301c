/** Usage errors of a command that the library detects. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isArgumentError } from "../arguments.js";
import { ConfigError } from "../errors.js";
import { modelFolder } from "../hf/hub_cache.js";

/**
 * Calls a library function with values from flags. An argument error for a value from a flag becomes a ConfigError that
 * names the flag, and the command exits with 2, as does a ConfigError for what a config was made of from flags; every
 * other error stays a failure.
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
    if (error instanceof ConfigError) throw configOfFlags(error, operation, flags);
    if (!isArgumentError(error) || error.operation !== operation) throw error;
    const [path = "", name = ""] = /^(\w+)[\w.]*/.exec(error.argument) ?? [];
    const flag = flags[error.argument] ?? flags[path] ?? flags[name];
    if (flag === undefined) throw error;
    const problem = error.message.slice(`${operation}: ${error.argument}: `.length);
    throw new ConfigError(`${flag}: ${problem}`, { cause: error });
  }
}

/** An error for a config that `operation` made from flags, with the flags in the place of its keys. */
function configOfFlags(error: ConfigError, operation: string, flags: Readonly<Record<string, string>>): ConfigError {
  const problems = error.problems.map((problem) => {
    const [whole, section = "", key = ""] = /^\w+: (\w+)\.([\w.]+): /.exec(problem) ?? [];
    if (whole === undefined || !problem.startsWith(`${operation}: `)) return problem;
    const flag = flags[section] === undefined ? flags[key] : `${flags[section]}: ${key}`;
    return flag === undefined ? problem : `${flag}: ${problem.slice(whole.length)}`;
  });
  const isSame = problems.every((problem, index) => problem === error.problems[index]);
  return isSame ? error : new ConfigError(problems.join("\n"), { problems, cause: error });
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
