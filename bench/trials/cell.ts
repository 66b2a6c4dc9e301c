/** Reads a cell's YAML: a base config, and what each arm changes in it. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { parseRunConfig, type RunConfig } from "../../lib/config/config.js";

type Section = Readonly<Record<string, unknown>>;

export interface Cell {
  /** A run config. */
  readonly base: Section;
  /** What each arm changes in it, section by section. */
  readonly arms: Readonly<Record<string, Section>>;
  readonly seeds: readonly number[];
}

export function readCell(path: string): Cell {
  return parse(readFileSync(path, "utf8")) as Cell;
}

/** The config of an arm of a cell from one seed. */
export function trialConfig(cell: Cell, arm: string, seed: number): RunConfig {
  const changes = cell.arms[arm];
  if (changes === undefined)
    throw new RangeError(`expected one of ${Object.keys(cell.arms).join(", ")}, received ${arm}`);
  const name = `${String(cell.base.name)}-${arm}-seed${seed}`;
  return parseRunConfig(merge(cell.base, { ...changes, name, seed, out: `runs/trials/${name}` }), name);
}

function merge(base: Section, changes: Section): Section {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(changes)) {
    const old = merged[key];
    merged[key] = isSection(old) && isSection(value) ? merge(old, value) : value;
  }
  return merged;
}

const isSection = (value: unknown): value is Section =>
  typeof value === "object" && value !== null && !Array.isArray(value);
