/** The entries of `data.train` and `data.val`. */
import type { ShardFormat } from "../data/format_names.js";

/** Shards to read. */
export interface DataEntry {
  /** A path or a pattern. */
  readonly path: string;
  /** In a mix: the share is this over the sum of all weights. */
  readonly weight?: number | undefined;
  readonly format?: ShardFormat | undefined;
}

/** A path, a pattern, or a list of them, as a config has it. */
export type DataSection = string | readonly string[] | readonly DataEntry[];

/** The entries of a section, whatever its form. */
export function entriesOf(section: DataSection): DataEntry[] {
  const list = typeof section === "string" ? [section] : section;
  return list.map((entry) => (typeof entry === "string" ? { path: entry } : entry));
}

/** Entries without their weights, as a dataset that is opened of them takes them. */
export function patternsOf(entries: readonly DataEntry[]): { path: string; format?: ShardFormat }[] {
  return entries.map(({ path, format }) => ({ path, ...(format && { format }) }));
}

/** What a path begins with that stands for a dataset which the program gives, by its name: `dataset:train`. */
const GIVEN = "dataset:";

/** The name of the dataset that a path stands for; null: it is a path. */
export function givenName(path: string): string | null {
  return path.startsWith(GIVEN) ? path.slice(GIVEN.length) : null;
}

/** Whether the entries are a mix, each in its own order, and not one stream. */
export function isMix(section: DataSection): boolean {
  return entriesOf(section).some(({ weight }) => weight !== undefined);
}
