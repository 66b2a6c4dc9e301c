/** Remembers what came of trials, so that their cost is paid once for an addon, a processor and a driver. */
import { createHash, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { type Crashes, canTry, tryAddon } from "./trial.js";

/** Verdicts kept, the newest last. */
const kept = 32;

type Verdicts = Record<string, Crashes>;

/** The libraries that end a process; tried only if that is not yet known. */
export function crashesOf(addon: string, folders: readonly string[], version: string): Crashes {
  if (!canTry()) return {};
  const key = keyOf(addon, folders, version);
  const known = readVerdicts()[key];
  if (typeof known === "object" && known !== null) return known;
  try {
    const { crashes, complete } = tryAddon(addon, folders);
    if (complete) remember(key, crashes);
    return crashes;
  } catch {
    // No process can be started here, as under Node's --permission.
    return {};
  }
}

/** Everything that a verdict depends on. */
function keyOf(addon: string, folders: readonly string[], version: string): string {
  const libraries = [dirname(addon), ...folders].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => /^(nextpatch|libgomp).*\.(so|node)/.test(name))
      .map((name) => join(folder, name)),
  );
  const files = libraries.map((path) => {
    const { size, mtimeMs } = statSync(path);
    return [path, size, mtimeMs];
  });
  const parts = [
    version,
    process.version,
    process.versions,
    processor(),
    driver(),
    process.env.NEXTPATCH_CPU_ISA,
    files,
  ];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

/** The first processor's model and its flags, which a virtual machine may have fewer of elsewhere. */
function processor(): string[] {
  const text = read("/proc/cpuinfo").split("\n\n", 1)[0]!;
  return text
    .split("\n")
    .filter((line) => /^(model name|flags|Features|CPU (implementer|part|variant))\s*:/.test(line));
}

const driver = (): string => read("/proc/driver/nvidia/version");

function read(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}

/** `$XDG_CACHE_HOME/nextpatch/trials.json`; a relative path there is to be ignored, says its specification. */
function cacheFile(): string {
  const named = process.env.XDG_CACHE_HOME;
  const base = named !== undefined && isAbsolute(named) ? named : join(homedir(), ".cache");
  return join(base, "nextpatch", "trials.json");
}

function readVerdicts(): Verdicts {
  try {
    const value: unknown = JSON.parse(readFileSync(cacheFile(), "utf8"));
    return typeof value === "object" && value !== null ? (value as Verdicts) : {};
  } catch {
    return {}; // none yet, or damaged: it is written anew
  }
}

/** Where the file cannot be written, every process tries. */
function remember(key: string, crashes: Crashes): void {
  const file = cacheFile();
  const written = `${file}.${randomUUID()}`;
  const entries = Object.entries({ ...readVerdicts(), [key]: crashes });
  try {
    // Not recursive: a home that does not exist is not made, and where that is impossible Node tries for ever.
    for (const folder of [dirname(dirname(file)), dirname(file)]) if (!existsSync(folder)) mkdirSync(folder);
    try {
      writeFileSync(written, JSON.stringify(Object.fromEntries(entries.slice(-kept))));
      renameSync(written, file);
    } finally {
      rmSync(written, { force: true });
    }
  } catch {
    // Read-only, full, or no folder at all.
  }
}
