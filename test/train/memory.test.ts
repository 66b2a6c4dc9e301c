import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeMadeData(path()));

const MiB = 2 ** 20;

describe("a run's memory", () => {
  it("is what was planned, taken once, and resident no more than 1.25 times that", async () => {
    const child = fileURLToPath(new URL("../support/train_child.ts", import.meta.url));
    const { NODE_OPTIONS: _, ...env } = process.env;
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", child, path()], { env });
    const found = JSON.parse(stdout) as {
      planned: number;
      grown: number;
      peakUsedBytes: number;
      reservedBytes: number;
      allocations: number[];
    };
    expect(found.planned).toBeGreaterThan(250 * MiB);
    // Evaluation and a checkpoint belong to every step.
    expect(found.allocations).toHaveLength(4);
    expect(new Set(found.allocations).size).toBe(1);
    expect(found.peakUsedBytes).toBeGreaterThanOrEqual(found.planned);
    expect(found.peakUsedBytes).toBeLessThan(1.01 * found.planned);
    expect(found.reservedBytes).toBeLessThan(1.05 * found.planned);
    expect(found.grown).toBeLessThan(1.25 * found.planned);
  });
});
