/** `--set a.b=v`: changes to a config from the command line, made before it is checked. */
import { show } from "../arguments.js";
import { ConfigError } from "../errors.js";
import { parseYaml } from "./yaml.js";

/**
 * A copy of `config` with each override applied in turn. An override is `path=value`: the path's keys are joined by
 * dots, an index picks an entry of a list (`stages[0].patchSize=2`, or one past the end to append), and the value is
 * YAML (`3e-4`, `auto`, `[0.9, 0.95]`, `{steps: 10}`). Missing sections on the path are created.
 * @throws ConfigError naming the override, if it is not `path=value` or its path leads through another kind of value
 */
export function applyOverrides(config: unknown, overrides: readonly string[]): unknown {
  return overrides.reduce(applyOverride, structuredClone(config));
}

function applyOverride(config: unknown, override: string): unknown {
  const equals = override.indexOf("=");
  const path = override.slice(0, Math.max(0, equals)).replace(/\[(\d+)\](?=[.[]|$)/g, ".$1");
  const keys = path.split(".");
  if (keys.some((key) => key === "" || key === "__proto__")) {
    throw new ConfigError(
      `--set: expected path=value, such as batch.tokensPerStep=65536, but received ${show(override)}`,
    );
  }
  const root = { config };
  let parent: unknown = root;
  let key = "config";
  for (const [depth, next] of keys.entries()) {
    if (getChild(parent, key) === undefined) setChild(parent, key, {});
    parent = getChild(parent, key);
    key = next;
    checkStep(parent, key, keys.slice(0, depth).join("."), override);
  }
  setChild(parent, key, parseValue(override.slice(equals + 1), override));
  return root.config;
}

/** Rejects a path that continues below a value that is no section or list, or past the end of a list. */
function checkStep(parent: unknown, key: string, path: string, override: string): void {
  if (Array.isArray(parent)) {
    if (!/^\d+$/.test(key) || Number(key) > parent.length) {
      throw new ConfigError(
        `--set ${override}: ${path}: expected an index from 0 to ${parent.length} but received ${show(key)}`,
      );
    }
  } else if (typeof parent !== "object" || parent === null) {
    const where = path === "" ? "the config" : path;
    throw new ConfigError(
      `--set ${override}: ${where}: expected a section of keys to set ${key} in but received ${show(parent)}`,
    );
  }
}

function getChild(parent: unknown, key: string): unknown {
  return Object.hasOwn(parent as object, key) ? ((parent as Record<string, unknown>)[key] ?? undefined) : undefined;
}

function setChild(parent: unknown, key: string, value: unknown): void {
  (parent as Record<string, unknown>)[key] = value;
}

function parseValue(text: string, override: string): unknown {
  try {
    return parseYaml(text);
  } catch (cause) {
    const reason = (cause as Error).message.split("\n")[0];
    throw new ConfigError(`--set ${override}: expected the value as YAML but received other text: ${reason}`, {
      cause,
    });
  }
}
