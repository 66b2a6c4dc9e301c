import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { DataError } from "../../lib/errors.js";
import { type MetricsLine, MetricsWriter, readMetrics } from "../../lib/report/metrics.js";

const line = (step: number, extra: Partial<MetricsLine> = {}): MetricsLine => ({
  step,
  stage: 0,
  patchSize: 4,
  tokens: step * 64,
  positions: step * 16,
  loss: 5,
  lr: 1e-3,
  gradNorm: 1,
  seconds: step,
  tokensPerSecond: 64,
  flops: step * 1e6,
  mfu: null,
  ...extra,
});

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nextpatch-metrics-"));
  path = join(folder, "metrics.jsonl");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function write(lines: readonly MetricsLine[], options = { resumeAfter: 0 }) {
  const writer = await MetricsWriter.open(path, options);
  for (const each of lines) await writer.append(each);
  await writer.close();
}

describe("metrics.jsonl", () => {
  it("holds one line per step, there when append resolves", async () => {
    const writer = await MetricsWriter.open(path, { resumeAfter: 0 });
    await writer.append(line(1, { valLoss: 4.5, mfu: 0.4 }));
    expect(readFileSync(path, "utf8")).toBe(`${JSON.stringify(line(1, { valLoss: 4.5, mfu: 0.4 }))}\n`);
    await writer.append(line(2));
    await writer.close();
    expect(await readMetrics(path)).toEqual([line(1, { valLoss: 4.5, mfu: 0.4 }), line(2)]);
  });

  it("a new run begins an empty file", async () => {
    await write([line(1), line(2)]);
    await write([line(1, { loss: 3 })]);
    expect(await readMetrics(path)).toEqual([line(1, { loss: 3 })]);
  });

  it("keeps a divergence", async () => {
    const diverged = line(1, { loss: Number.NaN, gradNorm: Number.NaN, valLoss: Number.NaN });
    await write([diverged]);
    expect(await readMetrics(path)).toEqual([diverged]);
  });

  it("leaves out a last line cut off while it was written, wherever the cut is", async () => {
    const whole = `${JSON.stringify(line(1))}\n`;
    const last = JSON.stringify(line(2));
    for (const length of [0, 1, 20, last.length]) {
      writeFileSync(path, whole + last.slice(0, length));
      expect(await readMetrics(path)).toEqual([line(1)]);
    }
  });

  it("resumes after a step: later and half lines are dropped", async () => {
    await write([1, 2, 3, 4].map((step) => line(step)));
    writeFileSync(path, `${readFileSync(path, "utf8")}{"step": 5, "sta`);
    await write([line(3, { loss: 1 })], { resumeAfter: 2 });
    expect(await readMetrics(path)).toEqual([line(1), line(2), line(3, { loss: 1 })]);
    expect(readdirSync(folder)).toEqual(["metrics.jsonl"]);
  });

  it("resumes where there is no file yet", async () => {
    await write([line(3)], { resumeAfter: 2 });
    expect(await readMetrics(path)).toEqual([line(3)]);
  });

  it("names a file that is not there", async () => {
    const missing = `${path}.none: expected a metrics file but received a file that does not exist`;
    await expect(readMetrics(`${path}.none`)).rejects.toThrow(missing);
    await expect(readMetrics(`${path}.none`)).rejects.toBeInstanceOf(DataError);
  });

  it.each([
    ["nonsense", /metrics.jsonl:2: expected a JSON object but received "nonsense"/],
    ["null", /metrics.jsonl:2: step: expected a number but received nothing/],
    [JSON.stringify({ ...line(2), tokens: "many" }), /metrics.jsonl:2: tokens: expected a number but received "many"/],
    [JSON.stringify({ ...line(2), lr: null }), /metrics.jsonl:2: lr: expected a number but received null/],
  ])("tells a line in the middle that is none: %s", async (text, message) => {
    writeFileSync(path, `${JSON.stringify(line(1))}\n${text}\n${JSON.stringify(line(3))}\n`);
    const failure = readMetrics(path);
    await expect(failure).rejects.toBeInstanceOf(DataError);
    await expect(failure).rejects.toThrow(message);
  });
});
