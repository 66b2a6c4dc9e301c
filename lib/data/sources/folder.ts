/** The files in and below a folder. */
import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { DataError, unusable } from "../../errors.js";
import { knownFormat } from "./formats.js";

/** What Hugging Face's `datasets` writes beside its data. */
const METADATA = new Set(["dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"]);

/** Files below a folder. */
export interface FolderFiles {
  /** Those whose names say a format, sorted by path. */
  readonly files: string[];
  /** The rest, and datasets that `prepare` wrote. */
  readonly others: string[];
}

/** Finds the files below a folder, through links. Hidden files and folders, whose names begin with a dot, are left out. */
export async function walkFolder(folder: string): Promise<FolderFiles> {
  const files: string[] = [];
  const others: string[] = [];
  /** @param above the folders on the way here, in which a link may not lead back */
  const visit = async (at: string, above: ReadonlySet<string>): Promise<void> => {
    const real = await realpath(at);
    if (above.has(real)) return;
    const entries = await readdir(at, { withFileTypes: true }).catch((cause: unknown) => {
      throw new DataError(`${at}: expected a folder of text but received ${unusable(cause, "folder")}`, { cause });
    });
    const names = new Set(entries.map(({ name }) => name));
    if (names.has("dataset.json") && names.has("train_000000.bin")) {
      others.push(join(at, "dataset.json"));
      return;
    }
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const path = join(at, entry.name);
      const facts = entry.isSymbolicLink() ? await followed(path) : entry;
      if (facts.isDirectory()) await visit(path, new Set([...above, real]));
      else if (facts.isFile()) (isData(entry.name) ? files : others).push(path);
    }
  };
  await visit(folder, new Set());
  return { files: files.sort(), others: others.sort() };
}

async function followed(path: string) {
  return stat(path).catch((cause: unknown) => {
    throw new DataError(`${path}: expected a file but received a link to ${unusable(cause)}`, { cause });
  });
}

function isData(name: string): boolean {
  return knownFormat(name) !== undefined && !METADATA.has(name);
}
