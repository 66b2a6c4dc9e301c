/**
 * A dataset's folder. It is filled under another name and put into place when complete, `dataset.json` last:
 *
 * - A folder that does not exist yet is filled beside its place, as `.NAME.part`, and renamed.
 * - A folder that exists stays: it may be a mount point, the current folder of a shell, or lie in a folder that cannot
 *   be written. It is filled in `.prepare` inside it. Then the earlier dataset goes, its `dataset.json` first, and the
 *   new files are renamed one by one. Shards beside a `.prepare` and no `dataset.json` are of an interrupted
 *   replacement: readers refuse them, and the next `prepare` begins anew.
 *
 * Whoever fills a folder owns it (disk/owner.ts). What a killed process left is removed by the next.
 */
import { readdir, realpath, rename, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { makeFolder, syncFolder, syncFolders } from "../disk/durable.js";
import { isLink, LINK_TO_NOTHING } from "../disk/is_link.js";
import { own } from "../disk/owner.js";
import { ConfigError, unusable } from "../errors.js";
import { TOKENIZER_COMPANIONS, TOKENIZER_JSON } from "./tokenizer_files.js";

/** The folder in an existing one that a dataset is prepared in. */
export const UNFINISHED = ".prepare";

/** The file that comes last, and makes a folder a dataset. */
export const DATASET_JSON = "dataset.json";

/** The lengths of the documents of a part. */
export const PART_LENGTHS = "part.lengths";

const LOCK = "prepare.lock";

/** Names of the files that make up a dataset. */
const SHARD_FILE = /^(train|val|part)_\d{6,}\.(bin|mask)$/;
const isDatasetFile = (name: string): boolean =>
  SHARD_FILE.test(name) || [DATASET_JSON, PART_LENGTHS, TOKENIZER_JSON, ...TOKENIZER_COMPANIONS].includes(name);

/** Names that do not matter: what `prepare` leaves when it is killed, and the root of an ext4 file system. */
const ignored = (name: string): boolean => name === UNFINISHED || name.startsWith(LOCK) || name === "lost+found";

/**
 * Throws ConfigError unless `out` can take a dataset: it does not exist, is an empty folder, or holds an earlier
 * dataset, or what is left of one, and nothing else.
 */
export async function checkOutFolder(out: string): Promise<void> {
  const expected = "a new or empty folder, or an earlier dataset to replace,";
  const names = await readdir(out).catch(async (cause: NodeJS.ErrnoException): Promise<string[]> => {
    const missing = cause.code === "ENOENT";
    if (missing && !(await isLink(out))) return [];
    const received = missing ? LINK_TO_NOTHING : unusable(cause, "folder");
    throw new ConfigError(`${out}: expected ${expected} but received ${received}`, { cause });
  });
  const files = names.filter((name) => !ignored(name));
  const foreign = files.find((name) => !isDatasetFile(name));
  const isDataset = names.includes(DATASET_JSON) || names.includes(UNFINISHED);
  if (foreign !== undefined || (files.length > 0 && !isDataset)) {
    throw new ConfigError(`${out}: expected ${expected} but received a folder that holds ${foreign ?? files[0]}`);
  }
}

/**
 * Runs `fill` on a new folder, then puts its files into `out`. If `fill` throws, the new folder is removed and `out` is
 * unchanged. When it resolves, everything is on the disk.
 * @throws ConfigError if `out` cannot take a dataset, or another process is preparing one there
 */
export async function writeFolderAside<T>(out: string, fill: (folder: string) => Promise<T>): Promise<T> {
  const existing = await realpath(out).catch(() => undefined); // a link to a folder stays a link
  const target = existing ?? resolve(out);
  const staging =
    existing === undefined ? join(dirname(target), `.${basename(target)}.part`) : join(target, UNFINISHED);
  await makeFolder(staging);
  const ownership = await own(join(staging, LOCK), out, "a prepare");
  let replacing = false;
  try {
    await clear(staging);
    const result = await fill(staging);
    await syncFolders(staging);
    await checkOutFolder(target);
    replacing = true;
    if (existing === undefined) await renameInto(target, staging);
    else await replaceFiles(target, staging);
    await ownership.release();
    return result;
  } catch (error) {
    // A replacement that has begun leaves the folder that says so.
    if (!replacing || existing === undefined) {
      await clear(staging);
      await ownership.release();
      await rmdir(staging).catch(() => undefined); // unless another has begun to fill it
    } else await ownership.release();
    throw error;
  }
}

/** Removes what an earlier process left. */
async function clear(staging: string): Promise<void> {
  for (const name of await readdir(staging).catch(() => [])) {
    if (!name.startsWith(LOCK)) await rm(join(staging, name), { recursive: true, force: true });
  }
}

/** Renames a folder that is complete, its lock file included, to a name that is free. */
async function renameInto(target: string, staging: string): Promise<void> {
  await rename(staging, target).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "ENOTEMPTY" && cause.code !== "EEXIST") throw cause;
    throw new ConfigError(`${target}: expected no such folder, as at the start, but received one that holds files`);
  });
  for (const name of await readdir(target)) if (name.startsWith(LOCK)) await rm(join(target, name), { force: true });
  await syncFolder(target);
  await syncFolder(dirname(target));
}

async function replaceFiles(target: string, staging: string): Promise<void> {
  const earlier = (await readdir(target)).filter(isDatasetFile);
  await rm(join(target, DATASET_JSON), { force: true });
  await syncFolder(target);
  for (const name of earlier) await rm(join(target, name), { force: true });
  const files = (await readdir(staging)).filter((name) => name !== DATASET_JSON && !name.startsWith(LOCK));
  for (const name of files) await rename(join(staging, name), join(target, name));
  await syncFolder(target);
  await rename(join(staging, DATASET_JSON), join(target, DATASET_JSON));
  await syncFolder(target);
  await rm(staging, { recursive: true, force: true });
  await syncFolder(target);
}
