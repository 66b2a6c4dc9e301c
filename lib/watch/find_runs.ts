/** The runs below a folder. Symbolic links are not followed: they could lead anywhere, and in circles. */
import type { Dirent } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/** A folder that a run writes. */
export interface FoundRun {
  /** Its path from the watched folder on; `.`: that folder itself. */
  readonly id: string;
  readonly path: string;
  /** When it last wrote, in milliseconds since 1970. */
  readonly changed: number;
}

/** Folders within one another, and folders in all, that are looked through: more are no folder of runs. */
const DEEPEST = 8;
const MOST_FOLDERS = 10_000;

/** What a run keeps in its folder, in the order in which it appears there. */
const signs = ["metrics.jsonl", "run.lock"];
const skipped = /^(\.|node_modules$)/;

/** The runs in a folder and below it, the latest first. What cannot be read holds none. */
export async function findRuns(root: string): Promise<FoundRun[]> {
  const found: FoundRun[] = [];
  let ids = ["."];
  let folders = 0;
  for (let depth = 0; depth <= DEEPEST && ids.length > 0; depth++) {
    const next: string[] = [];
    for (const id of ids) {
      if (++folders > MOST_FOLDERS) break;
      const path = join(root, id);
      const entries = await readdir(path, { withFileTypes: true }).catch((): Dirent[] => []);
      const sign = signs.find((name) => entries.some((entry) => entry.name === name && entry.isFile()));
      if (sign === undefined) {
        const inside = entries.filter((entry) => entry.isDirectory() && !skipped.test(entry.name));
        next.push(...inside.map(({ name }) => (id === "." ? name : `${id}/${name}`)));
        continue;
      }
      const facts = await lstat(join(path, sign)).catch(() => null);
      if (facts !== null) found.push({ id, path, changed: facts.mtimeMs });
    }
    ids = next;
  }
  return found.sort((a, b) => b.changed - a.changed);
}
