/** What decides which addon this process can load. */
import { readFileSync } from "node:fs";

export interface Machine {
  /** `process.platform` and `process.arch`. */
  readonly platform: string;
  readonly arch: string;
  /** The C library of the process; null: unknown, or not Linux. */
  readonly libc: "glibc" | "musl" | null;
  /** Its version if it is glibc, such as `2.36`. */
  readonly glibc: string | null;
  /** `process.version`. */
  readonly node: string;
}

/** The oldest Node that the package supports: `engines` in package.json. */
export const oldestNode = 20;

export function thisMachine(): Machine {
  const { platform, arch, version: node } = process;
  // Read only where something is wrong, since a report takes milliseconds.
  let found: Pick<Machine, "libc" | "glibc"> | null = null;
  const library = () => (found ??= platform === "linux" ? cLibrary() : { libc: null, glibc: null });
  return {
    platform,
    arch,
    node,
    get libc() {
      return library().libc;
    },
    get glibc() {
      return library().glibc;
    },
  };
}

/** Whether a Node version is too old. */
export function isTooOld(node: string): boolean {
  return Number.parseInt(node.replace(/^v/, ""), 10) < oldestNode;
}

/** Whether a dotted version is lower than another. */
export function isLower(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split(".").map(Number));
  for (let i = 0; i < Math.max(a!.length, b!.length); ++i) {
    const difference = (a![i] ?? 0) - (b![i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/**
 * The version of the NVIDIA driver, such as `580.65.06`; null: none. In WSL 2 the driver is that of Windows, whose
 * version is not in a file: "unknown".
 */
export function nvidiaDriver(): string | null {
  const text = read("/proc/driver/nvidia/version");
  if (text === null) return read("/usr/lib/wsl/lib/libcuda.so.1") === null ? null : "unknown";
  return /\b\d{3,}\.\d+(\.\d+)?\b/.exec(text)?.[0] ?? "unknown";
}

function cLibrary(): Pick<Machine, "libc" | "glibc"> {
  const report = process.report as { getReport(): object; excludeNetwork?: boolean } | undefined;
  if (report === undefined) return { libc: null, glibc: null };
  const { excludeNetwork } = report;
  report.excludeNetwork = true; // the names of network connections may take seconds to look up
  const { header, sharedObjects = [] } = report.getReport() as {
    header?: { glibcVersionRuntime?: string };
    sharedObjects?: string[];
  };
  if (excludeNetwork !== undefined) report.excludeNetwork = excludeNetwork;
  const glibc = header?.glibcVersionRuntime ?? null;
  if (glibc !== null) return { libc: "glibc", glibc };
  return { libc: sharedObjects.some((file) => /\/(ld-musl-|libc\.musl-)/.test(file)) ? "musl" : null, glibc };
}

function read(file: string): string | null {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return null;
  }
}
