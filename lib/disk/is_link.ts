/** Tells links. */
import { lstat } from "node:fs/promises";

/** Whether a path is a symbolic link, to whatever there is or is not. */
export async function isLink(path: string): Promise<boolean> {
  return lstat(path).then(
    (found) => found.isSymbolicLink(),
    () => false,
  );
}

/** What is where a new folder was to be made, if its name does not exist. */
export const LINK_TO_NOTHING = "a link to something that does not exist";
