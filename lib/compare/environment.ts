/** The environment of a measured run: machine, versions and commit, so that a page is complete by itself. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { RunConfig } from "../config/config.js";
import { backends, Device, type DeviceSpec } from "../device.js";
import { makeFolder, writeText } from "../disk/durable.js";
import { ConfigError } from "../errors.js";
import { tableToBegin } from "../train/run_table.js";
import { readRunJson } from "./run_json.js";

/** The environment in which a run was measured. */
export interface Environment {
  /** Backend and device: `cpu: AMD EPYC (2 cores, avx512_bf16)`. */
  readonly device: string;
  readonly precision: "bf16" | "fp32";
  /** `OMP_NUM_THREADS`, if it is set. */
  readonly threads: string | null;
  /** How many processes trained together; absent: one. */
  readonly ranks?: number;
  readonly processor: string;
  /** The machine's memory in bytes. */
  readonly memory: number;
  readonly system: string;
  readonly node: string;
  /** Version of this package. */
  readonly nextpatch: string;
  /** Versions of the backend's libraries. */
  readonly libraries: Readonly<Record<string, string>>;
  /** Commit of the repository in the working directory, with `-dirty` if files differ from it; null: none. */
  readonly commit: string | null;
  /** Tokens in the training and the held-out shards: if the data was prepared again, they differ. */
  readonly trainTokens: number;
  readonly valTokens: number;
  /** SHA-256 of the product table; null: none. */
  readonly productTable: string | null;
  /** When it was recorded, in ISO 8601. */
  readonly date: string;
}

/** What a run's losses depend on beyond its config: arms that differ in it cannot be compared. */
const ofLosses = ["precision", "trainTokens", "valTokens"] as const satisfies readonly (keyof Environment)[];

/** What a run's seconds depend on. On other devices losses differ by rounding only, as they do between runs. */
const ofSeconds = [
  "device",
  "precision",
  "threads",
  "ranks",
  "processor",
  "productTable",
] as const satisfies readonly (keyof Environment)[];

/**
 * Reads the environment of a run of this config on data with these token counts, by so many ranks.
 * @throws DeviceError, ConfigError
 */
export async function readEnvironment(
  config: RunConfig,
  data: Pick<Environment, "trainTokens" | "valTokens">,
  ranks: number,
): Promise<Environment> {
  const device = Device.open(config.device as DeviceSpec);
  const manifest = JSON.parse(readFileSync(packageJson(), "utf8")) as { version: string };
  return {
    device: `${device.backend}: ${device.name}`,
    precision: device.computeDType(config.precision) === "bf16" ? "bf16" : "fp32",
    threads: process.env.OMP_NUM_THREADS ?? null,
    ...(ranks > 1 && { ranks }),
    processor: `${cpus()[0]?.model.trim() ?? process.arch}, ${cpus().length} cores`,
    memory: totalmem(),
    system: `${type()} ${release()}`,
    node: process.version,
    nextpatch: manifest.version,
    libraries: backends().find(({ name }) => name === device.backend)?.versions ?? {},
    commit: await readCommit(),
    ...data,
    productTable: (await tableToBegin(config))?.sha256 ?? null,
    date: new Date().toISOString(),
  };
}

/** The package's manifest, whether this file is in lib/ or in dist/. */
const packageJson = () => new URL("../../package.json", import.meta.url);

/** @see Environment.commit */
export async function readCommit(): Promise<string | null> {
  try {
    const describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"];
    const { stdout } = await promisify(execFile)("git", describe);
    return stdout.trim();
  } catch {
    return null; // no git, no repository, or no commit yet
  }
}

const fileOf = (runFolder: string) => join(runFolder, "environment.json");

/**
 * The environments that the run in a folder was trained in, from its beginning on: several if it was resumed in
 * another. None: there is no run. @throws ConfigError if damaged
 */
export async function recordedEnvironments(runFolder: string): Promise<readonly Environment[]> {
  const recorded = (await readRunJson(fileOf(runFolder), "a run's environment")) as Environment | Environment[] | null;
  return recorded === null ? [] : [recorded].flat();
}

/** Notes in a run's folder, which is created if needed, that the run begins or goes on in an environment. */
export async function recordEnvironment(runFolder: string, environment: Environment): Promise<void> {
  const before = await recordedEnvironments(runFolder);
  const last = before.at(-1);
  if (last !== undefined && sameSeconds(last, environment)) return;
  await makeFolder(runFolder);
  await writeText(fileOf(runFolder), `${JSON.stringify([...before, environment], null, 2)}\n`);
}

/** Whether seconds measured in two environments can be compared. */
export function sameSeconds(one: Environment, other: Environment): boolean {
  return differing(ofSeconds, one, other).length === 0;
}

/**
 * Rejects a comparison that would mix runs of two precisions, or of two sets of data.
 * @throws ConfigError
 */
export function checkSameConditions(runFolder: string, before: Environment, now: Environment): void {
  const changed = differing(ofLosses, before, now);
  if (changed.length === 0) return;
  const list = changed.map((key) => `${key}: ${before[key] ?? "not set"} before, ${now[key] ?? "not set"} now`);
  throw new ConfigError(
    `${runFolder}: expected the conditions under which the run there was begun but received others, which cannot be ` +
      `compared: ${list.join("; ")} (go on under the old ones, or compare in another folder: --set out=...)`,
  );
}

function differing<Key extends keyof Environment>(keys: readonly Key[], one: Environment, other: Environment): Key[] {
  return keys.filter((key) => (one[key] ?? null) !== (other[key] ?? null));
}
