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

/** Whether the entries are a mix, each in its own order, and not one stream. */
export function isMix(section: DataSection): boolean {
  return entriesOf(section).some(({ weight }) => weight !== undefined);
}
