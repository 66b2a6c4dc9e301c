/** Models in Hugging Face's cache on this machine. Nothing is ever fetched. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { CheckpointError } from "../errors.js";

/** A repository's name on the hub: `org/name`. */
const REPOSITORY = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;

/** Where `huggingface_hub` keeps what it fetched: its own variables decide, in its order. */
function cacheFolder(): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = process.env;
  const own = HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE;
  if (own) return own;
  return join(HF_HOME || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface"), "hub");
}

/**
 * The folder of a model: what `name` names, if there is such a path; else, of a name such as `org/name`, the newest
 * snapshot in Hugging Face's cache (`refs/main`, else the one that was fetched last). Any other name is returned as it
 * is.
 * @throws CheckpointError for an `org/name` that is neither a path nor in the cache, saying how to get it there
 */
export function modelFolder(name: string): string {
  if (existsSync(name) || !REPOSITORY.test(name)) return name;
  const repository = join(cacheFolder(), `models--${name.replace("/", "--")}`);
  const snapshots = join(repository, "snapshots");
  const main = read(join(repository, "refs", "main"));
  if (main !== null && existsSync(join(snapshots, main))) return join(snapshots, main);
  const newest = list(snapshots).sort((a, b) => b.time - a.time)[0];
  if (newest !== undefined) return newest.path;
  throw new CheckpointError(
    `${name}: expected a model folder, or a model in Hugging Face's cache (${cacheFolder()}), but received neither; ` +
      `fetch it with: hf download ${name}`,
  );
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return null;
  }
}

function list(folder: string): { path: string; time: number }[] {
  try {
    return readdirSync(folder).map((name) => {
      const path = join(folder, name);
      return { path, time: statSync(path).mtimeMs };
    });
  } catch {
    return [];
  }
}
