/**
 * Which process is which. A process is recognised by its number and the time it started, which Linux counts since a boot,
 * in its namespace of process numbers: a later process of the same number is another one.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** A process, as a file describes it. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** Identifies the boot and the namespace of process numbers; null: unknown. */
  readonly space: string | null;
  /** When the process started, in ticks since the boot; null: unknown. */
  readonly started: string | null;
}

/** The process that calls this. */
export function thisProcess(): ProcessIdentity {
  return { pid: process.pid, host: hostname(), space: spaceOfProcesses(), started: startOf(process.pid) };
}

/** Whether a process lives; null: it cannot be looked up from here. */
export function lives({ pid, space, started }: ProcessIdentity): boolean | null {
  const here = thisProcess();
  if (here.space === null || space !== here.space || here.started === null || started === null) return null;
  return startOf(pid) === started;
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
