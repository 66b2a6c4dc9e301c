/** The part of a config that determines the bits that a run computes. */
import { createHash } from "node:crypto";
import type { RunConfig } from "../config/config.js";

/**
 * Sections that may change when a run is resumed: they say where and how often, not what is computed. What is in the
 * product table counts, not where it lies: run_table.ts.
 */
const free: ReadonlySet<string> = new Set(["name", "out", "checkpoint", "eval", "device", "recompute", "productTable"]);

/** A SHA-256, in hexadecimal, of the part of a config that determines what a run computes. */
export function configHash(config: RunConfig): string {
  const sorted = [...decisiveValues(config)].sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("hex");
}

/** The keys, such as `optimizer.lr`, in which two configs differ but a resumed run must not. */
export function changedKeys(before: object, now: RunConfig): string[] {
  const [old, current] = [decisiveValues(before), decisiveValues(now)];
  return [...new Set([...current.keys(), ...old.keys()])].filter((key) => old.get(key) !== current.get(key));
}

/** Every relevant value as JSON, by its path; the same for a config as read and as written. */
function decisiveValues(config: object): Map<string, string> {
  const values = new Map<string, string>();
  const visit = (value: unknown, path: string): void => {
    if (value === undefined) return;
    if (typeof value !== "object" || value === null) values.set(path, JSON.stringify(value));
    else for (const [key, child] of Object.entries(value)) visit(child, `${path}.${key}`);
  };
  for (const [key, value] of Object.entries(config)) if (!free.has(key)) visit(value, key);
  // What every run was before the key existed, so that a run from then can be resumed.
  if (values.get("optimizer.type") === '"adamw"') values.delete("optimizer.type");
  return values;
}
