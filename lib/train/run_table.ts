/** The product table of a run: the config's when it begins, the copy in the run's folder when it is resumed. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { show } from "../arguments.js";
import type { RunConfig } from "../config/config.js";
import { writeText } from "../disk/durable.js";
import { ConfigError } from "../errors.js";
import { type LoadedTable, readTable } from "./product_table.js";

const copyIn = (folder: string) => join(folder, "product_table.json");

/** Reads the table that a run begins with; null if it has none. @throws ConfigError */
export async function tableToBegin(config: RunConfig): Promise<LoadedTable | null> {
  return config.productTable === null ? null : readTable(config.productTable);
}

/** Keeps a run's table in its folder, where `tableToResume` finds it. */
export async function keepTable(folder: string, table: LoadedTable | null): Promise<void> {
  const copy = copyIn(folder);
  if (table !== null) await writeText(copy, table.text);
  else await rm(copy, { force: true }); // of a run that failed before its first step
}

/**
 * Reads the table that a run began with from its folder; null if it has none. The config's own file may be gone by now,
 * but not changed.
 * @throws ConfigError if the copy is missing or damaged, or the config names another table
 */
export async function tableToResume(config: RunConfig): Promise<LoadedTable | null> {
  const copy = copyIn(config.out);
  const given = config.productTable;
  if (!existsSync(copy)) {
    if (given === null) return null;
    throw new ConfigError(
      `--resume: productTable: expected null, as the run has no ${copy}, but received ${show(given)}`,
    );
  }
  if (given === null) {
    throw new ConfigError(`--resume: productTable: expected the table that the run has in ${copy} but received null`);
  }
  const table = await readTable(copy);
  if (!existsSync(given)) return table;
  const { sha256 } = await readTable(given);
  if (sha256 !== table.sha256) throw changed(given, table.sha256, sha256);
  return table;
}

/**
 * Checks that a resumed run's table is the one that its checkpoint was computed with.
 * @param recorded the SHA-256 in the checkpoint, or null
 * @throws ConfigError
 */
export function checkRecorded(folder: string, table: LoadedTable | null, recorded: string | null): void {
  const found = table?.sha256 ?? null;
  if (found !== recorded) throw changed(copyIn(folder), recorded, found);
}

function changed(path: string, expected: string | null, received: string | null): ConfigError {
  const words = (sha256: string | null) => (sha256 === null ? "no table" : `the table with the SHA-256 ${sha256}`);
  return new ConfigError(
    `--resume: ${path}: expected ${words(expected)}, as when the run was begun, but received ${words(received)}; ` +
      "restore it, or start a new run in another folder",
  );
}
