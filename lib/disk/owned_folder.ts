/** A folder that one process at a time writes in. */
import { rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, unusable } from "../errors.js";
import { makeFolder } from "./durable.js";
import { isLink, LINK_TO_NOTHING } from "./is_link.js";
import { own } from "./owner.js";

export interface OwnedFolder {
  /** @throws ConfigError if it is not this process's any more */
  check(): Promise<void>;
  /** Gives it back. If it was made for this and is still empty, it is removed. A second call does nothing. */
  release(): Promise<void>;
}

/**
 * Takes a folder, which is made if it does not exist, with its parents.
 * @param lock name of the file in it that says whose it is
 * @param writer what this process is: `a run`
 * @throws ConfigError naming the living process that has it, or saying what else stands in its place; Error of the file
 *   system
 */
export async function ownFolder(folder: string, lock: string, writer: string): Promise<OwnedFolder> {
  const made = !(await isFolder(folder));
  await makeFolder(folder);
  const path = join(folder, lock);
  const ownership = await own(path, folder, writer);
  return {
    check: async () => {
      if (await ownership.isHeld()) return;
      throw new ConfigError(
        `${folder}: expected to be the only process that writes there but received a ${lock} that is gone or another's; ` +
          "nothing more was written",
      );
    },
    release: async () => {
      await ownership.release();
      if (made) await rmdir(folder).catch(() => undefined); // it holds something
    },
  };
}

/** Whether a folder exists. @throws ConfigError if something else does, so that it cannot be made */
async function isFolder(path: string): Promise<boolean> {
  const refused = (received: string, cause?: unknown) =>
    new ConfigError(`${path}: expected a folder, or the name of a new one, but received ${received}`, { cause });
  const found = await stat(path).catch(async (cause: NodeJS.ErrnoException) => {
    if (cause.code !== "ENOENT") throw refused(unusable(cause, "folder"), cause);
    if (await isLink(path)) throw refused(LINK_TO_NOTHING, cause);
    return null;
  });
  if (found !== null && !found.isDirectory()) throw refused("a file or a device");
  return found !== null;
}
