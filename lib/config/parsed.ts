/** Checks that a config has been parsed. */
import type { Arguments } from "../arguments.js";
import { ConfigError } from "../errors.js";
import type { RunConfig } from "./config.js";

/** Sections that a parsed config has, even if its file leaves them out. */
const sections = [
  "init",
  "data",
  "stages",
  "batch",
  "train",
  "optimizer",
  "schedule",
  "checkpoint",
  "parallel",
] as const;
/** Keys that are given, too. */
const keys = ["recompute", "precision", "device", "out", "name"] as const;

/** Checks that a config has its defaults filled in. @throws TypeError if it is not an object, ConfigError */
export function checkParsed(check: Arguments, operation: string, config: RunConfig): void {
  check.object("config", config);
  const missing =
    sections.find((section) => typeof config[section] !== "object") ??
    keys.find((key) => typeof config[key] !== "string");
  if (missing === undefined) return;
  throw new ConfigError(
    `${operation}: config: expected what defineConfig, loadRunConfig or parseRunConfig returns but received an object ` +
      `without ${missing}`,
  );
}
