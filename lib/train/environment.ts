/** Finds out in what environment a run is trained. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { promisify } from "node:util";
import { backends, type Device, type PrecisionSpec } from "../device.js";
import type { Environment } from "../report/environment.js";

/** What a run knows of it by itself. */
export interface OwnEnvironment extends Pick<Environment, "trainTokens" | "valTokens" | "productTable"> {
  readonly precision: PrecisionSpec;
  readonly ranks: number;
}

/** Reads the environment of a run on a device. */
export async function readEnvironment(
  device: Device,
  { precision, ranks, ...own }: OwnEnvironment,
): Promise<Environment> {
  const manifest = JSON.parse(readFileSync(packageJson(), "utf8")) as { version: string };
  return {
    device: `${device.backend}: ${device.name}`,
    precision: device.computeDType(precision) === "bf16" ? "bf16" : "fp32",
    threads: process.env.OMP_NUM_THREADS ?? null,
    ...(ranks > 1 && { ranks }),
    processor: `${cpus()[0]?.model.trim() ?? process.arch}, ${cpus().length} cores`,
    memory: totalmem(),
    system: `${type()} ${release()}`,
    node: process.version,
    nextpatch: manifest.version,
    libraries: backends().find(({ name }) => name === device.backend)?.versions ?? {},
    commit: await readCommit(),
    ...own,
    date: new Date().toISOString(),
  };
}

/** The package's manifest, whether this file is in lib/ or in dist/. */
const packageJson = () => new URL("../../package.json", import.meta.url);

/** By working directory: this process's code is what was there when it began. */
const commits = new Map<string, Promise<string | null>>();

/** @see Environment.commit */
export function readCommit(): Promise<string | null> {
  const folder = process.cwd();
  const known = commits.get(folder) ?? describeCommit();
  commits.set(folder, known);
  return known;
}

async function describeCommit(): Promise<string | null> {
  try {
    const describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"];
    const { stdout } = await promisify(execFile)("git", describe);
    return stdout.trim();
  } catch {
    return null; // no git, no repository, or no commit yet
  }
}
