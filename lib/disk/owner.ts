/**
 * Ownership of a folder: a file that names the process which works in it.
 *
 * The owner is recognised by its number and the time it started, which Linux counts since a boot, in its namespace of
 * process numbers: where all of these can be compared, a dead owner is told from a living one at once, whatever process
 * has its number by now. Where they cannot (another machine on a shared disk, another container, another system than
 * Linux), the owner counts as alive for as long as it has touched its file in the last minute; a living one touches it
 * every ten seconds.
 *
 * The file of a dead owner is deleted by one process alone: the one that makes a second file, whose name follows from the
 * content of the first. It looks again before it deletes, so that a latecomer, who read the old content, deletes nothing.
 * Every file's content is its own.
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { constants, copyFile, link, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout } from "node:timers/promises";

/** Milliseconds between touches of the file. */
const TOUCH = 10_000;

/** Milliseconds after which an owner that cannot be looked up, and has not touched its file, counts as dead. */
const SILENCE = 60_000;

/** Milliseconds after which a file that names no process is a damaged one. */
const WRITING = 1000;

/** Tries to take a file whose owner is dead while another takes it, and milliseconds between them. */
const ATTEMPTS = 100;
const WAIT = 20;

/** A process, as its file describes it. */
export interface Owner {
  readonly pid: number;
  readonly host: string;
  /** Identifies the boot and the namespace of process numbers; null: unknown. */
  readonly space: string | null;
  /** When the process started, in ticks since the boot; null: unknown. */
  readonly started: string | null;
  readonly since: string;
}

/** A held file. */
export interface Ownership {
  /** Deletes the file. A second call does nothing. */
  release(): Promise<void>;
}

/**
 * Takes the file `path`, whose folder exists, or returns the living process that has it.
 * @throws Error of the file system if the file cannot be written
 */
export async function takeOwnership(path: string): Promise<Ownership | Owner> {
  const nonce = randomBytes(8).toString("hex");
  const own = `${JSON.stringify({ ...thisProcess(), nonce })}\n`;
  const aside = `${path}.${nonce}`;
  await writeFile(aside, own);
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (await linked(aside, path)) return held(path, own);
      const found = await readFile(path, "utf8").catch(() => null);
      if (found === null) continue; // it was given back meanwhile
      const owner = parse(found);
      if (owner !== null && (await isAlive(owner, path))) return owner;
      // A file without an owner may be about to be written.
      const mayBeRemoved = owner !== null || (await silentFor(path, WRITING));
      if (!mayBeRemoved || !(await removeDead(path, found, aside))) await setTimeout(WAIT);
    }
  } finally {
    await rm(aside, { force: true });
  }
  throw new Error(`${path}: could not be taken: other processes keep taking it`);
}

/** Whether `takeOwnership` found another owner. */
export function isOwner(result: Ownership | Owner): result is Owner {
  return "pid" in result;
}

/** A process, in words. */
export function describeOwner({ pid, host, since }: Owner): string {
  return `process ${pid}${host === hostname() ? "" : ` on ${host}`}, since ${since}`;
}

function held(path: string, own: string): Ownership {
  const touch = setInterval(() => {
    const now = new Date();
    void utimes(path, now, now).catch(() => undefined); // whoever needs the folder will find that it is gone
  }, TOUCH);
  touch.unref();
  return {
    release: async () => {
      clearInterval(touch);
      await removeIf(path, own);
    },
  };
}

async function linked(from: string, to: string): Promise<boolean> {
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

/**
 * Deletes the file of a dead owner, unless another process is doing that.
 * @param found its content
 * @param aside a file that names this process
 */
async function removeDead(path: string, found: string, aside: string): Promise<boolean> {
  const taking = `${path}.${createHash("sha256").update(found).digest("hex").slice(0, 16)}`;
  if (!(await linked(aside, taking))) {
    // Whoever made it may have been killed since.
    const taker = parse(await readFile(taking, "utf8").catch(() => ""));
    if (taker !== null && !(await isAlive(taker, taking))) await rm(taking, { force: true });
    return false;
  }
  try {
    await removeIf(path, found);
  } finally {
    await rm(taking, { force: true });
  }
  return true;
}

/** Deletes the file if its content is `expected`. */
async function removeIf(path: string, expected: string): Promise<void> {
  if ((await readFile(path, "utf8").catch(() => "")) === expected) await rm(path, { force: true });
}

function parse(text: string): Owner | null {
  try {
    const owner = JSON.parse(text) as Owner;
    return Number.isSafeInteger(owner.pid) ? owner : null;
  } catch {
    return null;
  }
}

async function isAlive(owner: Owner, path: string): Promise<boolean> {
  const { space, started } = thisProcess();
  if (space !== null && owner.space === space && started !== null && owner.started !== null) {
    return startOf(owner.pid) === owner.started;
  }
  return !(await silentFor(path, SILENCE));
}

/** Whether a file was not touched for some milliseconds, or is gone. */
async function silentFor(path: string, milliseconds: number): Promise<boolean> {
  const touched = await stat(path).catch(() => undefined);
  return touched === undefined || Date.now() - touched.mtimeMs >= milliseconds;
}

function thisProcess(): Owner {
  return {
    pid: process.pid,
    host: hostname(),
    space: spaceOfProcesses(),
    started: startOf(process.pid),
    since: new Date().toISOString(),
  };
}

function spaceOfProcesses(): string | null {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return null;
  }
}

/** Field 22 of Linux's /proc/PID/stat; null: no such process, or no such file. */
function startOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, field 2, may hold blanks and parentheses.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? null : fields[22 - 3]!; // a zombie is dead
  } catch {
    return null;
  }
}
