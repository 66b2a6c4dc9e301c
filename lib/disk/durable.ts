/**
 * Crash-safe files and folders: written under a temporary name, synced, renamed, and their names synced too.
 *
 * A file is replaced in one step. A folder `NAME` that replaces another takes two renames: `NAME` to `.NAME.old`, then
 * `.NAME.part` to `NAME` (Linux could exchange the two names at once, but Node has no call for it). Nothing is done
 * between them: a reader at that moment finds no folder, never an incomplete one, and a process killed at that moment
 * leaves `.NAME.old` complete, which `recoverFolder` restores.
 */
import { existsSync, renameSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { naming } from "./named_error.js";

const asideOf = (target: string, state: "part" | "old" | "gone") =>
  join(dirname(target), `.${basename(target)}.${state}`);

/**
 * Creates a folder and its missing parents, each of them synced.
 *
 * Not with Node's `recursive`, which says ENOENT where a disk is full or cannot be written.
 */
export async function makeFolder(path: string): Promise<void> {
  const parent = dirname(resolve(path));
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return;
    if (code !== "ENOENT" || existsSync(parent)) throw error;
    await makeFolder(parent);
    await makeFolder(path);
    return;
  }
  await syncFolder(parent);
}

/** Replaces a small text file. */
export async function writeText(path: string, text: string): Promise<void> {
  await naming(path, () => writeFile(`${path}.part`, text, { flush: true }));
  await rename(`${path}.part`, path);
  await syncFolder(dirname(path));
}

/**
 * Writes a folder, replacing an existing one.
 * @param write creates the folder at the given path and syncs the files in it
 */
export async function writeFolder(target: string, write: (folder: string) => Promise<void>): Promise<void> {
  await recoverFolder(target);
  const part = asideOf(target, "part");
  const old = asideOf(target, "old");
  for (const left of [part, old]) await rm(left, { recursive: true, force: true });
  try {
    await write(part);
    await syncFolders(part);
  } catch (error) {
    await rm(part, { recursive: true, force: true });
    throw error;
  }
  const replaces = existsSync(target);
  if (replaces) renameSync(target, old);
  try {
    renameSync(part, target);
  } catch (error) {
    if (replaces) renameSync(old, target);
    throw error;
  }
  await syncFolder(dirname(target));
  await rm(old, { recursive: true, force: true });
}

/**
 * Fills a folder that exists and stays the same one, as it may be a mount point or the current folder of a shell. The
 * new files are written into a folder inside it, and replace the old ones when they are complete; `mark`, without which
 * the folder is nothing, goes first and comes last.
 * @param staging name of the folder inside; what a killed process left in it is deleted
 * @param write fills the folder at the given path with files, and syncs them
 * @param replaces whether a file that is there is one of the old ones
 */
export async function refillFolder(
  target: string,
  staging: string,
  mark: string,
  write: (folder: string) => Promise<void>,
  replaces: (name: string) => boolean,
): Promise<void> {
  const aside = join(target, staging);
  await rm(aside, { recursive: true, force: true });
  try {
    await write(aside);
    await syncFolders(aside);
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    throw error;
  }
  const earlier = (await readdir(target)).filter(replaces);
  await rm(join(target, mark), { force: true });
  await syncFolder(target);
  for (const name of earlier) await rm(join(target, name), { force: true });
  const names = (await readdir(aside)).filter((name) => name !== mark);
  for (const name of names) await rename(join(aside, name), join(target, name));
  await syncFolder(target);
  await rename(join(aside, mark), join(target, mark));
  await rm(aside, { recursive: true, force: true });
  await syncFolder(target);
}

/** Restores a folder that a process was about to replace when it was killed. */
export async function recoverFolder(target: string): Promise<void> {
  const old = asideOf(target, "old");
  if (existsSync(target) || !existsSync(old)) return;
  renameSync(old, target);
  await syncFolder(dirname(target));
}

/** Deletes a folder. It is renamed first, so that no reader finds an incomplete one. */
export async function removeFolder(target: string): Promise<void> {
  const gone = asideOf(target, "gone");
  await rm(gone, { recursive: true, force: true });
  await rename(target, gone);
  await rm(gone, { recursive: true, force: true });
}

/** Deletes temporary folders that killed processes left for folders whose names match. */
export async function removeLeftovers(parent: string, names: RegExp): Promise<void> {
  for (const entry of await readdir(parent)) {
    const name = /^\.(.+)\.(part|old|gone)$/.exec(entry)?.[1];
    if (name !== undefined && names.test(name)) await rm(join(parent, entry), { recursive: true, force: true });
  }
}

/** Syncs the names in a folder, and in those below it. */
export async function syncFolders(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await syncFolders(join(path, entry.name));
  }
  await syncFolder(path);
}

/** Syncs the names in a folder. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
