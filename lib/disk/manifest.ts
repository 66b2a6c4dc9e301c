/**
 * `manifest.json`: the size and the SHA-256 of every file of a folder, so that no changed bit of it passes for what was
 * written. Its text has one form, so that none of its own bits can change either.
 *
 *     { "version": 1, "files": { "config.json": { "bytes": 712, "sha256": "ab…" }, … } }
 *
 * Names are relative to the folder, with `/`. A file that the manifest does not name is none of its business.
 */
import { stat } from "node:fs/promises";
import { join, posix } from "node:path";
import { show } from "../arguments.js";
import { CheckpointError, unusable } from "../errors.js";
import { hashFile } from "./hash_file.js";
import { type FileDigest, writeHashed } from "./hashed_file.js";
import { parseJson } from "./json.js";
import { readText } from "./read_text.js";

export const MANIFEST = "manifest.json";

/** The most bytes of a manifest: some ten thousand files. */
const MOST_BYTES = 2 ** 21;

type Files = Readonly<Record<string, FileDigest>>;

const textOf = (files: Files): string => `${JSON.stringify({ version: 1, files }, null, 2)}\n`;

/** Writes the files of a folder, and at last its manifest. */
export class ManifestWriter {
  readonly #files: Record<string, FileDigest> = {};

  constructor(readonly folder: string) {}

  /** Writes a file and syncs it. @throws Error of the file system, which names the file */
  async write(name: string, content: string | Uint8Array): Promise<void> {
    this.note(name, await writeHashed(join(this.folder, name), content));
  }

  /** Notes a file that has been written and synced. */
  note(name: string, digest: FileDigest): void {
    this.#files[name] = digest;
  }

  /** Writes the manifest and syncs it. */
  async finish(): Promise<void> {
    await writeHashed(join(this.folder, MANIFEST), textOf(this.#files));
  }
}

/**
 * Compares the files of a folder with its manifest: the sizes of all, then every byte.
 * @param covers which files count; default: all
 * @returns whether there is a manifest
 * @throws CheckpointError naming the first file that is missing, of another size or of other bytes, or the manifest, if
 *   it is damaged
 */
export async function verifyManifest(folder: string, covers: (name: string) => boolean = () => true): Promise<boolean> {
  const files = await readManifest(folder);
  if (files === null) return false;
  const counted = Object.entries(files).filter(([name]) => covers(name));
  for (const [name, { bytes }] of counted) await verifySize(join(folder, name), bytes);
  for (const [name, { sha256 }] of counted) await verifyHash(join(folder, name), sha256);
  return true;
}

async function verifySize(path: string, bytes: number): Promise<void> {
  const expected = `the ${bytes} bytes that ${MANIFEST} says`;
  const found = await stat(path).catch((cause: unknown) => {
    throw new CheckpointError(`${path}: expected ${expected} but received ${unusable(cause)}`, { cause });
  });
  if (found.isFile() && found.size === bytes) return;
  const received = found.isFile() ? `${found.size}` : "something else than a file";
  throw new CheckpointError(`${path}: expected ${expected} but received ${received}${edited}`);
}

async function verifyHash(path: string, expected: string): Promise<void> {
  const found = await hashFile(path).catch((cause: unknown) => {
    throw new CheckpointError(`${path}: expected a file as ${MANIFEST} says but received ${unusable(cause)}`, {
      cause,
    });
  });
  if (found === expected) return;
  throw new CheckpointError(
    `${path}: expected the bytes that were written (SHA-256 ${short(expected)}, as ${MANIFEST} says) ` +
      `but received others (${short(found)})${edited}`,
  );
}

const edited = `; if you have edited it, delete ${MANIFEST}`;

const short = (sha256: string): string => `${sha256.slice(0, 12)}…`;

/** The files that a folder's manifest names; null: it has none. @throws CheckpointError if it is damaged */
async function readManifest(folder: string): Promise<Files | null> {
  const path = join(folder, MANIFEST);
  const failed = (received: string, cause?: unknown): CheckpointError =>
    new CheckpointError(`${path}: expected the sizes and hashes of the folder's files but received ${received}`, {
      cause,
    });
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT" || cause.code === "ENOTDIR") return null;
    throw failed(unusable(cause), cause);
  });
  if (found === null) return null;
  if (!found.isFile() || found.size > MOST_BYTES) {
    throw failed(found.isFile() ? `a file of ${found.size} bytes` : "something else than a file");
  }
  const text = await readText(path, MOST_BYTES).catch((cause: unknown) => {
    throw failed(unusable(cause), cause);
  });
  let files: unknown;
  try {
    files = (parseJson(text) as { files?: unknown } | null)?.files;
  } catch (cause) {
    throw failed(`other text: ${(cause as Error).message}`, cause);
  }
  if (!isFiles(files) || textOf(files) !== text) throw failed(`other text: ${show(text)}`);
  return files;
}

function isFiles(value: unknown): value is Files {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.entries(value as Record<string, Partial<FileDigest> | null>).every(
    ([name, digest]) =>
      // A name cannot lead out of the folder.
      posix.normalize(name) === name && !/^\/|^\.\.?(\/|$)|\\/.test(name) && isDigest(digest),
  );
}

function isDigest(digest: Partial<FileDigest> | null): digest is FileDigest {
  return Number.isSafeInteger(digest?.bytes) && digest!.bytes! >= 0 && /^[0-9a-f]{64}$/.test(digest?.sha256 ?? "");
}
