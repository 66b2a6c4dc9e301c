/**
 * Ownership of a folder: a file that names the process which works in it.
 *
 * The owner is recognised by its number and the time it started, which Linux counts since a boot, in its namespace of
 * process numbers: where all of these can be compared, a dead owner is told from a living one at once, whatever process
 * has its number by now. Where they cannot (another machine on a shared disk, another container, another system than
 * Linux), the owner counts as alive for as long as it has touched its file in the last minute; a living one touches it
 * every ten seconds.
 *
 * Two processes that find a dead owner at the same moment may both try to take its place: the file is renamed before it
 * is replaced, and what was renamed is compared with what was read, so that only one of them succeeds.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { constants, copyFile, link, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";

/** Milliseconds between touches of the file. */
const TOUCH = 10_000;

/** Milliseconds after which an owner that cannot be looked up, and has not touched its file, counts as dead. */
const SILENCE = 60_000;

/** Tries to take a file whose owner is dead, while others try too. */
const ATTEMPTS = 5;

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
  const own = `${JSON.stringify(thisProcess())}\n`;
  const aside = `${path}.${randomBytes(4).toString("hex")}`;
  await writeFile(aside, own);
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (await linked(aside, path)) return held(path, own);
      const found = await readFile(path, "utf8").catch(() => "");
      const owner = parse(found);
      if (owner !== null && (await isAlive(owner, path))) return owner;
      await removeIf(path, found);
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

/** Deletes the file if its content is `expected`; what another has put there meanwhile is put back. */
async function removeIf(path: string, expected: string): Promise<void> {
  const moved = `${path}.${randomBytes(4).toString("hex")}`;
  try {
    await rename(path, moved);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if ((await readFile(moved, "utf8")) !== expected) await linked(moved, path);
  await rm(moved, { force: true });
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
  const touched = await stat(path).catch(() => undefined);
  return touched !== undefined && Date.now() - touched.mtimeMs < SILENCE;
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
