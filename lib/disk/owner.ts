/**
 * Ownership of a folder: a file that names the process which works in it.
 *
 * Where the owner can be looked up (process_identity.ts), a dead one is told from a living one at once. Where it cannot
 * (another machine on a shared disk, another container, another system than Linux), it counts as alive for as long as it
 * has written its file in the last minute; a living one writes it every ten seconds. All these times are the file
 * system's own, never those of two machines' clocks.
 *
 * The file of a dead owner is deleted by one process alone: the one that makes a second file, whose name follows from the
 * content of the first. It looks again before it deletes, so that a latecomer, who read the old content, deletes nothing.
 * Every file's content is its own.
 */
import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, open, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { ConfigError } from "../errors.js";
import { isLink, LINK_TO_NOTHING } from "./is_link.js";
import { naming } from "./named_error.js";
import { beat, describeOwner, holds, isAlive, linked, look, type Owner, removeIf } from "./owner_file.js";
import { lives, thisProcess } from "./process_identity.js";

/** Milliseconds between two times that an owner writes its file. */
const BEAT = 10_000;

/** Milliseconds after which a file that names no process is a damaged one. */
const WRITING = 1000;

/** Tries to take a file whose owner is dead while another takes it, and milliseconds between them. */
const ATTEMPTS = 100;
const WAIT = 20;

/** A held file. */
export interface Ownership {
  /** Whether the file is still this process's: one that stood still for a minute may have been taken for dead. */
  isHeld(): Promise<boolean>;
  /** Deletes the file. A second call does nothing. */
  release(): Promise<void>;
}

/**
 * Takes the file `path` for a process that writes in `folder`.
 * @param writer what the process is: `a run`
 * @throws ConfigError naming the living process that has it; Error of the file system
 */
export async function own(path: string, folder: string, writer: string): Promise<Ownership> {
  const taken = await takeOwnership(path);
  if (!isOwner(taken)) return taken;
  throw new ConfigError(
    `${folder}: expected a folder that nothing else is writing but received one that ${writer} is writing ` +
      `(${describeOwner(taken)})`,
  );
}

/**
 * Takes the file `path`, whose folder exists, or returns the living process that has it.
 * @throws Error of the file system if the file cannot be written
 */
export async function takeOwnership(path: string): Promise<Ownership | Owner> {
  const nonce = randomBytes(8).toString("hex");
  const text = `${JSON.stringify({ ...thisProcess(), since: new Date().toISOString(), nonce })}\n`;
  const aside = `${path}.${nonce}`;
  const file = await open(aside, "wx");
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      await naming(aside, () => beat(file, text));
      if (await linked(aside, path)) {
        await sweep(path, file);
        return ownership(path, await open(path, "r+"), text);
      }
      const found = await look(path, file);
      if (found === null) continue; // it was given back meanwhile
      const { owner } = found;
      if (owner !== null && isAlive(found)) return lives(owner) === null ? { ...owner, silence: found.silence } : owner;
      // A file without an owner may be about to be written.
      const mayBeRemoved = owner !== null || found.silence >= WRITING;
      if (!mayBeRemoved || !(await removeDead(path, found.text, aside, file))) await setTimeout(WAIT);
    }
  } finally {
    await rm(aside, { force: true });
    await file.close();
  }
  if (await isLink(path)) {
    throw new ConfigError(`${path}: expected a file that names a process but received ${LINK_TO_NOTHING}`);
  }
  throw new Error(`${path}: could not be taken: other processes keep taking it`);
}

/** Whether `takeOwnership` found another owner. */
export function isOwner(result: Ownership | Owner): result is Owner {
  return "pid" in result;
}

function ownership(path: string, file: FileHandle, text: string): Ownership {
  // Whoever needs the folder will find that it is gone.
  const timer = setInterval(() => void beat(file, text).catch(() => undefined), BEAT).unref();
  let released = false;
  return {
    isHeld: () => holds(path, text),
    release: async () => {
      if (released) return;
      released = true;
      clearInterval(timer);
      await removeIf(path, text);
      await file.close();
    },
  };
}

/**
 * Deletes the file of a dead owner, unless another process is doing that.
 * @param text its content
 * @param aside a file that names this process
 */
async function removeDead(path: string, text: string, aside: string, own: FileHandle): Promise<boolean> {
  const taking = `${path}.${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
  if (!(await linked(aside, taking))) {
    // Whoever made it may have been killed since.
    const found = await look(taking, own);
    if (found !== null && found.owner !== null && !isAlive(found)) await rm(taking, { force: true });
    return false;
  }
  try {
    await removeIf(path, text);
  } finally {
    await rm(taking, { force: true });
  }
  return true;
}

/** Deletes what processes left that were killed while they took the file. */
async function sweep(path: string, own: FileHandle): Promise<void> {
  const name = basename(path);
  for (const entry of await readdir(dirname(path))) {
    if (!entry.startsWith(`${name}.`) || !/^[0-9a-f]{16}$/.test(entry.slice(name.length + 1))) continue;
    const left = join(dirname(path), entry);
    const found = await look(left, own);
    if (found !== null && !isAlive(found) && (found.owner !== null || found.silence >= WRITING)) {
      await rm(left, { force: true });
    }
  }
}
