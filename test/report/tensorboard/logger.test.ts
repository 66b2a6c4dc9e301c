import { appendFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { crc32c } from "../../../lib/report/tensorboard/crc32c.js";
import { TensorBoardLogger } from "../../../lib/report/tensorboard/logger.js";
import { eventsIn, readEvents } from "../../support/event_reader.js";
import { madeLine } from "../../support/made_lines.js";
import { temporaryFolder } from "../../support/temporary.js";

const path = temporaryFolder();

/** Logs the steps after one, up to another. */
async function log(from: number, to: number, loss = 5): Promise<void> {
  const logger = new TensorBoardLogger();
  await logger.begin({ name: "run", folder: path(), config: {}, step: from });
  for (let step = from + 1; step <= to; step++) await logger.step(madeLine(step, { loss }));
  await logger.end();
}
const files = () => readdirSync(path()).sort();
const scalars = () => eventsIn(path()).filter(({ values }) => "loss/training" in values);
const steps = () => scalars().map(({ step }) => step);
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

describe("crc32c", () => {
  it("has the check value of CRC-32C, and that of 32 zeros in RFC 3720", () => {
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  });
});

describe("TensorBoard's event files", () => {
  it("have a step's values by their tags, and no value that it has not", async () => {
    const logger = new TensorBoardLogger();
    await logger.begin({ name: "run", folder: path(), config: {}, step: 0 });
    await logger.step(madeLine(1, { tokens: 2 ** 40, loss: Number.NaN }));
    const memory = { device: 2 ** 30, process: 2 ** 20 };
    await logger.step(madeLine(300, { mfu: 0.25, valLoss: 3.5, valBitsPerByte: 1.5, memory }));
    await logger.end();
    const [version, start, first, second] = eventsIn(path());
    expect(version).toMatchObject({ step: 0, version: "brain.Event:2" });
    expect(start).toMatchObject({ step: 1, session: 1 });
    expect(Math.abs(first!.wallTime - Date.now() / 1000)).toBeLessThan(60);
    expect(first).toMatchObject({ step: 1, values: { "loss/training": Number.NaN, "progress/tokens": 2 ** 40 } });
    expect(Object.keys(first!.values)).not.toContain("speed/mfu");
    expect(second!.step).toBe(300);
    expect(second!.values).toMatchObject({
      "speed/mfu": 0.25,
      "loss/validation": 3.5,
      "memory/process_bytes": 2 ** 20,
    });
    expect(second!.values["optimizer/learning_rate"]).toBeCloseTo(1e-3);
  });

  it("have each step once when a run goes on after a kill, again and again", async () => {
    await log(0, 200);
    // What a killed process was writing.
    appendFileSync(path(files()[0]!), Buffer.from([40, 0, 0, 0, 0]));
    await log(150, 180, 4);
    expect(steps()).toEqual(upTo(180));
    expect(
      new Set(
        scalars()
          .slice(150)
          .map(({ values }) => values["loss/training"]),
      ),
    ).toEqual(new Set([4]));
    await log(160, 190, 3);
    await log(150, 155, 2);
    expect(steps()).toEqual(upTo(155));
    expect(files().map((name) => Number(name.split(".").at(-1)))).toEqual([0, 150]);
    const sessions = eventsIn(path()).filter(({ session }) => session === 1);
    expect(sessions.map(({ step }) => step)).toEqual([1, 151]);
  });

  it("begin anew with a run, and leave other files alone", async () => {
    const others = ["events.out.tfevents.1700000000.host.1.0", "notes.txt"];
    for (const name of others) writeFileSync(path(name), "kept");
    await log(0, 3);
    await log(0, 2);
    const own = files().filter((name) => !others.includes(name));
    expect(own).toHaveLength(1);
    expect(
      readEvents(join(path(), own[0]!))
        .slice(2)
        .map(({ step }) => step),
    ).toEqual([1, 2]);
    expect(files()).toHaveLength(3);
  });
});
