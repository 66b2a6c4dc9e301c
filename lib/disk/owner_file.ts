/**
 * The file that names the owner of a folder: what it says, and whether that process lives. All its times are the file
 * system's own, never those of two machines' clocks.
 */
import { constants, copyFile, type FileHandle, link, readFile, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { ConfigError, UnusableInput } from "../errors.js";
import { lives, type ProcessIdentity } from "./process_identity.js";
import { openFile } from "./read_text.js";

/** Milliseconds after which an owner that cannot be looked up, and has not written its file, counts as dead. */
const SILENCE = 60_000;

/** The owner, as its file describes it. */
export interface Owner extends ProcessIdentity {
  readonly since: string;
  /** Milliseconds since it wrote its file, where it cannot be looked up. */
  readonly silence?: number;
}

/** A process, in words. */
export function describeOwner({ pid, host, since, silence }: Owner): string {
  const words = `process ${pid}${host === hostname() ? "" : ` on ${host}`}, since ${since}`;
  if (silence === undefined) return words;
  return (
    `${words}, last heard of ${Math.round(silence / 1000)} s ago; it cannot be looked up from here, and counts as dead ` +
    `after ${SILENCE / 1000} s of silence`
  );
}

/** A file of ownership, as it was found. */
export interface Found {
  readonly text: string;
  /** The process that it names; null: none. */
  readonly owner: Owner | null;
  /** Milliseconds between its time and that of this process's own file. */
  readonly silence: number;
}

/**
 * Opens and reads a file: a network file system looks for changes where a file is opened. Null: there is none.
 * @throws ConfigError for a folder or a pipe; Error of the file system
 */
export async function look(path: string, own: FileHandle): Promise<Found | null> {
  const file = await openFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    if (!(error instanceof UnusableInput)) throw error;
    throw new ConfigError(`${path}: expected a file that names a process but received ${error.received}`);
  });
  if (file === null) return null;
  try {
    const text = await file.readFile("utf8");
    const [written, now] = [await file.stat(), await own.stat()];
    return { text, owner: parse(text), silence: Math.abs(now.mtimeMs - written.mtimeMs) };
  } finally {
    await file.close();
  }
}

/** Whether it names a process that lives, as far as can be told. */
export function isAlive({ owner, silence }: Found): boolean {
  return owner !== null && (lives(owner) ?? silence < SILENCE);
}

function parse(text: string): Owner | null {
  try {
    const owner = JSON.parse(text) as Owner;
    const names = Number.isSafeInteger(owner.pid) && typeof owner.host === "string" && typeof owner.since === "string";
    return names ? owner : null;
  } catch {
    return null;
  }
}

/** Writes the file's content, again: its time is then the file system's present. */
export async function beat(file: FileHandle, text: string): Promise<void> {
  await file.write(text, 0);
  await file.datasync(); // a network file system keeps it on this machine until then
}

/** Gives a file a second name, or makes a copy of it, unless there is a file of that name. */
export async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "ENOSYS") throw error;
  }
  // A file system without links.
  return copyFile(from, to, constants.COPYFILE_EXCL).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") return false;
      throw error;
    },
  );
}

/** Deletes the file if its content is `expected`. */
export async function removeIf(path: string, expected: string): Promise<void> {
  if (await holds(path, expected)) await rm(path, { force: true });
}

/** Whether the content of a file is this text. */
export async function holds(path: string, text: string): Promise<boolean> {
  return (await readFile(path, "utf8").catch(() => "")) === text;
}
