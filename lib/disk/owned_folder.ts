/** A folder that one process at a time writes in. */
import { existsSync } from "node:fs";
import { rmdir } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError } from "../errors.js";
import { makeFolder } from "./durable.js";
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
 * @throws ConfigError for a path that is a file, or naming the living process that has the folder; Error of the file system
 */
export async function ownFolder(folder: string, lock: string, writer: string): Promise<OwnedFolder> {
  const made = !existsSync(folder);
  await makeFolder(folder).catch((cause: unknown) => {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== "EEXIST" && code !== "ENOTDIR") throw cause;
    const received = code === "EEXIST" ? "a file" : "a path inside a file";
    throw new ConfigError(`${folder}: expected a folder for ${writer} but received ${received}`, { cause });
  });
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
