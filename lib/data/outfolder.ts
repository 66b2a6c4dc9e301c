/** A dataset's folder, written under a temporary name and renamed when complete. */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, realpath, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { ConfigError, unusable } from "../errors.js";

/** Names of the files that make up a dataset. */
const DATASET_FILE = /^((train|val)_\d{6,}\.bin|tokenizer\.json|dataset\.json)$/;

/**
 * Throws ConfigError unless `out` can take a dataset: it does not exist, is an empty folder, or holds an earlier
 * dataset and nothing else.
 */
export async function checkOutFolder(out: string): Promise<void> {
  const expected = "a new or empty folder, or an earlier dataset to replace,";
  const names = await readdir(out).catch((cause: NodeJS.ErrnoException): string[] => {
    if (cause.code === "ENOENT") return [];
    throw new ConfigError(`${out}: expected ${expected} but received ${unusable(cause, "folder")}`, { cause });
  });
  const foreign = names.find((name) => !DATASET_FILE.test(name));
  if (foreign !== undefined || (names.length > 0 && !names.includes("dataset.json"))) {
    throw new ConfigError(`${out}: expected ${expected} but received a folder that holds ${foreign ?? names[0]}`);
  }
}

/**
 * Runs `fill` on a new folder beside `out`, then renames it to `out`. If `fill` throws, the new folder is removed and
 * `out` is unchanged.
 */
export async function writeFolderAside<T>(out: string, fill: (folder: string) => Promise<T>): Promise<T> {
  const target = await realpath(out).catch(() => resolve(out)); // a link to a folder stays a link
  const aside = (): string => join(dirname(target), `.${basename(target)}.${randomBytes(4).toString("hex")}`);
  const staging = aside();
  await mkdir(staging, { recursive: true });
  try {
    const result = await fill(staging);
    await checkOutFolder(target);
    await replace(target, staging, aside());
    return result;
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    throw error;
  }
}

/** Renames `folder` to `target`; meanwhile the former content of `target`, if any, is kept as `old`. */
async function replace(target: string, folder: string, old: string): Promise<void> {
  const existed = await rename(target, old).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
  try {
    await rename(folder, target);
  } catch (error) {
    if (existed) await rename(old, target);
    throw error;
  }
  if (existed) await rm(old, { recursive: true });
}
