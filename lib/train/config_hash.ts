/** The part of a config that determines the bits that a run computes, and what of it may change when a run goes on. */
import { createHash } from "node:crypto";

/**
 * Sections that may change when a run is resumed: they say where and how often, not what is computed. What is in the
 * product table counts, not where it lies: run_table.ts.
 */
export const freeSections = [
  "name",
  "out",
  "checkpoint",
  "eval",
  "logger",
  "device",
  "parallel",
  "recompute",
  "productTable",
] as const;

/** Keys, or their beginnings, that may change where a run goes on from an earlier checkpoint: how it learns from there on. */
export const tunableKeys = [
  "optimizer",
  "schedule",
  "guard",
  "precision",
  "stages.*.optimizer",
  "stages.*.schedule",
] as const;

/** Keys, or their beginnings, that never change in a run: the checkpoint's tensors are those of the model. */
export const fixedKeys = ["model", "init.from", "optimizer.type"] as const;

/** Keys, or their beginnings, that say how long a run is: check_length.ts says when they may change on resumption. */
export const lengthKeys = ["train", "stages.*.fraction", "stages.*.of", "stages.*.steps"] as const;

const free: ReadonlySet<string> = new Set(freeSections);

/** Every value of a config that counts, as JSON, by its key, such as `optimizer.lr`. */
export type DecisiveValues = ReadonlyMap<string, string>;

/** The same for a config as read and as written. */
export function decisiveValues(config: object): DecisiveValues {
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

/** A SHA-256, in hexadecimal, of the values. */
export function hashOfValues(values: DecisiveValues): string {
  const sorted = [...values].sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("hex");
}

/** A SHA-256, in hexadecimal, of the part of a config that determines what a run computes. */
export function configHash(config: object): string {
  return hashOfValues(decisiveValues(config));
}

/** The keys in which two configs differ, and a resumed run must not. */
export function changedKeys(old: DecisiveValues, current: DecisiveValues): string[] {
  return [...new Set([...current.keys(), ...old.keys()])].filter((key) => old.get(key) !== current.get(key));
}

/** Whether a key may change where a run goes on from an earlier checkpoint: as it is, with `--force`, or never. */
export function howToChange(key: string): "tunable" | "forced" | "fixed" {
  if (matches(key, fixedKeys)) return "fixed";
  return matches(key, tunableKeys) ? "tunable" : "forced";
}

/** Whether a key says how long a run, or one of its stages, is. */
export const isLength = (key: string): boolean => matches(key, lengthKeys);

function matches(key: string, patterns: readonly string[]): boolean {
  const parts = key.split(".");
  return patterns.some((pattern) => pattern.split(".").every((part, index) => part === "*" || part === parts[index]));
}
