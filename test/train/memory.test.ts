import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "@jest/globals";
import { writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

const MiB = 2 ** 20;

interface Found {
  planned: number;
  copyBytes: number;
  grown: number;
  peakUsedBytes: number;
  reservedBytes: number;
  allocations: number[];
}

/** Trains in a process of its own, in a folder with this name. */
async function trained(name: string): Promise<Found> {
  const folder = join(path(), name);
  mkdirSync(folder);
  await writeMadeData(folder);
  const child = fileURLToPath(new URL("../support/train_child.ts", import.meta.url));
  const { NODE_OPTIONS: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", child, folder], { env });
  return JSON.parse(stdout) as Found;
}

describe("a run's memory", () => {
  it("is what was planned, taken once, and resident no more than 1.25 times that", async () => {
    const found = await trained("first");
    // How much garbage Node lets lie depends on what else the machine does: of two processes, the smaller one counts.
    const grown = [found.grown];
    const most = 1.25 * (found.planned + found.copyBytes);
    if (found.grown >= most) grown.push((await trained("second")).grown);
    expect(found.planned).toBeGreaterThan(250 * MiB);
    // Evaluation and a checkpoint belong to every step.
    expect(found.allocations).toHaveLength(4);
    expect(new Set(found.allocations).size).toBe(1);
    expect(found.peakUsedBytes).toBeGreaterThanOrEqual(found.planned);
    expect(found.peakUsedBytes).toBeLessThan(1.01 * found.planned);
    expect(found.reservedBytes).toBeLessThan(1.05 * found.planned);
    expect(Math.min(...grown)).toBeLessThan(most);
    expect(found.copyBytes).toBeGreaterThan(100 * MiB);
  });
});
