import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { DataError } from "../../lib/errors.js";
import { lastMetrics, type MetricsLine, readMetrics } from "../../lib/report/metrics.js";
import { checkMetrics } from "../../lib/report/metrics_check.js";
import { readLines } from "../../lib/report/metrics_file.js";
import { MetricsWriter } from "../../lib/report/metrics_writer.js";

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

async function write(lines: readonly MetricsLine[], length = 0): Promise<number> {
  const writer = await MetricsWriter.open(path, length);
  for (const each of lines) await writer.append(each);
  const end = await writer.sync();
  await writer.close();
  return end;
}

describe("metrics.jsonl", () => {
  it("holds one line per step, there when append resolves", async () => {
    const writer = await MetricsWriter.open(path, 0);
    await writer.append(line(1, { valLoss: 4.5, mfu: 0.4 }));
    expect(readFileSync(path, "utf8")).toBe(`${JSON.stringify(line(1, { valLoss: 4.5, mfu: 0.4 }))}\n`);
    await writer.append(line(2));
    expect(await writer.sync()).toBe(statSync(path).size);
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

  it("goes on from a length: later and half lines are dropped", async () => {
    const length = await write([1, 2].map((step) => line(step)));
    await write([line(3), line(4)], length);
    writeFileSync(path, `${readFileSync(path, "utf8")}{"step": 5, "sta`);
    await write([line(3, { loss: 1 })], length);
    expect(await readMetrics(path)).toEqual([line(1), line(2), line(3, { loss: 1 })]);
    expect(readdirSync(folder)).toEqual(["metrics.jsonl"]);
  });

  it("gives the lines that are wanted, and the last one, of a file of any size", async () => {
    const lines = Array.from({ length: 6000 }, (_, index) => line(index + 1, index % 1000 === 9 ? { valLoss: 3 } : {}));
    writeFileSync(path, lines.map((each) => `${JSON.stringify(each)}\n`).join(""));
    expect((await readMetrics(path)).map(({ step }) => step)).toEqual(lines.map(({ step }) => step));
    const evaluated = await readMetrics(path, ({ valLoss }) => valLoss !== undefined);
    expect(evaluated.map(({ step }) => step)).toEqual([10, 1010, 2010, 3010, 4010, 5010]);
    expect(await lastMetrics(path)).toEqual(lines.at(-1));
    appendFileSync(path, '{"step": 2');
    expect(await lastMetrics(path)).toEqual(lines.at(-1));
    appendFileSync(path, "\n");
    expect(await lastMetrics(path)).toBeNull();
    writeFileSync(path, "");
    expect(await lastMetrics(path)).toBeNull();
    await expect(lastMetrics(`${path}.none`)).rejects.toThrow(
      "expected a metrics file but received a file that does not",
    );
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

  describe("checked", () => {
    const text = (each: MetricsLine): string => `${JSON.stringify(each)}\n`;
    const check = (content: string, from = 0) => {
      writeFileSync(path, content);
      return checkMetrics(path, from, content.length);
    };
    const lines = Array.from({ length: 9 }, (_, index) => text(line(index + 1)));

    it("has nothing wrong if each step has its line", async () => {
      expect(await check(lines.join(""))).toEqual([]);
      // Within a line: the check begins at the next.
      expect(await check(lines.join(""), 30)).toEqual([]);
    });

    it("tells where it is damaged, once", async () => {
      const damaged = [...lines];
      damaged[4] = damaged[4]!.replace("{", "\0");
      expect(await check(damaged.join(""))).toEqual([
        `${path}: byte ${lines.slice(0, 4).join("").length}: expected the line of step 5 but received ` +
          JSON.stringify(damaged[4]!.slice(0, 40)),
      ]);
    });

    it("tells of lines that are missing or there twice", async () => {
      const at = lines[0]!.length;
      expect(await check(lines[0]! + lines.slice(2).join(""))).toEqual([
        `${path}: byte ${at}: expected the line of step 2 but received that of step 3`,
      ]);
      expect(await check(lines[0]! + lines.join(""))).toEqual([
        `${path}: byte ${at}: expected the line of step 2 but received that of step 1`,
      ]);
      expect(await check(lines.slice(3).join(""))).toEqual([
        `${path}: byte 0: expected the line of step 1 but received that of step 4`,
      ]);
    });

    it("tells of three places, and how many more there are", async () => {
      const found = await check("x\n".repeat(12));
      expect([found.length, found.at(-1)]).toEqual([4, `${path}: and in 9 more places`]);
    });

    it("keeps little of damage without a line break", async () => {
      writeFileSync(path, lines[0]!);
      truncateSync(path, 2 ** 23);
      appendFileSync(path, `\n${lines[2]!}`);
      const found: string[] = [];
      for await (const some of readLines(path, 0, statSync(path).size)) found.push(...some.map(({ text }) => text));
      expect(found.map((text) => `${text}\n`.length)).toEqual([lines[0]!.length, 2 ** 16 + 1, lines[2]!.length]);
      expect(await checkMetrics(path, 0, statSync(path).size)).toEqual([
        expect.stringMatching(/: byte \d+: expected the line of step 2 but received "(\\u0000)+/),
      ]);
    });
  });
});
