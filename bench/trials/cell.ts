/** Reads a cell's YAML: a base config, and what each arm changes in it. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { parseRunConfig, type RunConfig } from "../../lib/config/config.js";

type Section = Readonly<Record<string, unknown>>;

/** What an arm changes: `phases` and any key of the run config. */
interface ArmChanges extends Section {
  /** [K, share of the steps] of each stage; every step has the same number of positions. */
  readonly phases?: readonly (readonly [number, number])[];
}

export interface Cell {
  readonly base: Section;
  readonly arms: Readonly<Record<string, ArmChanges>>;
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
  const { phases, ...keys } = changes;
  const name = `${String(cell.base.name)}-${arm}-seed${seed}`;
  const merged = merge(cell.base, { ...keys, name, seed, out: `runs/trials/${name}` });
  return parseRunConfig(phases === undefined ? merged : { ...merged, stages: stagesOf(merged, phases) }, name);
}

function stagesOf(config: Section, phases: NonNullable<ArmChanges["phases"]>): Section[] {
  const { tokensPerStep } = config.batch as { tokensPerStep: number };
  const tokens = phases.reduce((sum, [patchSize, share]) => sum + patchSize * share, 0);
  return phases.map(([patchSize, share]) => ({
    patchSize,
    fraction: (patchSize * share) / tokens,
    batch: { tokensPerStep: patchSize * tokensPerStep },
  }));
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
