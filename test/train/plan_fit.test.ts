/** A run's memory is taken as a whole or refused before anything is written. */
import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { compare } from "../../lib/compare/compare.js";
import { Device } from "../../lib/device.js";
import { OutOfMemoryError } from "../../lib/errors.js";
import { plannedBytes } from "../../lib/train/memory_plan.js";
import { shortage } from "../../lib/train/plan_fit.js";
import { closeRunData, openRunData } from "../../lib/train/run_data.js";
import { type PlannedRun, planConfig } from "../../lib/train/run_plan.js";
import { Trainer } from "../../lib/train/trainer.js";
import { tooLarge } from "../support/large_run.js";
import { madeConfig, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeMadeData(path()));
afterEach(() => void jest.restoreAllMocks());

describe("a plan", () => {
  const device = Device.open("cpu", { threads: 2 });

  /** A run whose stages have 24 and 96 sequences a step. */
  async function planned(microBatch: number): Promise<PlannedRun> {
    const config = madeConfig(path(), {
      batch: { tokensPerStep: 1536, sequenceLength: 16, microBatch },
      guard: { loss: 6 },
    });
    const data = await openRunData(config);
    return planConfig(config, device, data).finally(() => closeRunData(data));
  }

  const bytes = async (microBatch: number) => plannedBytes(device, (await planned(microBatch)).plan);

  async function shortageWith(freeBytes: number, microBatch = 24): Promise<OutOfMemoryError | null> {
    const run = await planned(microBatch);
    const memory = { ...device.memory(), freeBytes, limitedBy: "the limit of a test" };
    jest.spyOn(device, "memory").mockReturnValue(memory);
    const found = shortage(device, run);
    jest.restoreAllMocks();
    return found;
  }

  it("fits to the last byte", async () => {
    const whole = await bytes(24);
    expect(await shortageWith(whole)).toBeNull();
    const error = (await shortageWith(whole - 1))!;
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect([error.requestedBytes, error.freeBytes]).toEqual([whole, whole - 1]);
    expect(error.message).toMatch(
      /^memory plan: expected at most the \d+\.\d MiB that are free on cpu \(.*\), by the limit of a test, but received \d+\.\d MiB: the nearest that fits is batch\.microBatch: 12 in every stage$/,
    );
  });

  it.each([12, 8, 6, 4, 3, 2, 1])(
    "names the nearest micro-batch that fits and that every step can be cut into: %i",
    async (nearest) => {
      const free = await bytes(nearest);
      expect((await shortageWith(free))!.message).toMatch(new RegExp(`batch\\.microBatch: ${nearest} in every stage$`));
      // And it is the truth.
      expect(await shortageWith(free, nearest)).toBeNull();
    },
  );

  it("says so where none fits", async () => {
    const message =
      /: no batch\.microBatch fits \(1 takes \d+\.\d MiB\); a shorter batch\.sequenceLength, recompute or a /;
    for (const microBatch of [24, 1]) {
      expect((await shortageWith((await bytes(1)) - 1, microBatch))!.message).toMatch(message);
    }
  });
});

describe("a run beyond all memory", () => {
  it("is refused before its folder is made", async () => {
    const config = madeConfig(path(), tooLarge);
    const error: unknown = await Trainer.open(config).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect((error as Error).message).toMatch(/^memory plan: expected at most .* fits? /);
    expect(existsSync(config.out)).toBe(false);
  });

  it("is refused before a comparison trains anything, by the arm's name", async () => {
    const error: unknown = await compare(madeConfig(path(), tooLarge)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect((error as Error).message).toMatch(/^memory plan of token-level: expected at most /);
    expect(existsSync(path("run/baseline"))).toBe(false);
  });
});
