/** Converters against what lm-evaluation-harness makes of the same records: test/fixtures/scoring/make_published.py. */
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import type { ScoreItem } from "../../lib/evaluate/items.js";
import { type ConvertOptions, convertTask, publishedTasks } from "../../lib/evaluate/published_tasks.js";
import { scoringFolder } from "../support/scoring.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
type Published = Record<string, { records: Record<string, unknown>[]; items: ScoreItem[] }>;
const published = JSON.parse(readFileSync(`${scoringFolder}/published.json`, "utf8")) as Published;

async function converted(
  name: (typeof publishedTasks)[number],
  file: string,
  options?: ConvertOptions,
): Promise<ScoreItem[]> {
  const items: ScoreItem[] = [];
  for await (const item of convertTask(name, file, options)) items.push(item);
  return items;
}

function writeRecords(records: readonly unknown[]): string {
  const file = path("records.jsonl");
  writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  return file;
}

describe.each(publishedTasks)("%s", (name) => {
  it("becomes the harness's prompts, from JSONL and from Parquet", async () => {
    const { records, items } = published[name]!;
    expect(await converted(name, writeRecords(records))).toEqual(items);
    expect(await converted(name, `${scoringFolder}/${name}.parquet`)).toEqual(items);
  });

  it("names the file, the line and the field of what is missing", async () => {
    const { records } = published[name]!;
    for (const key of Object.keys(records[0]!)) {
      const { [key]: _, ...rest } = records[1]!;
      const failed = converted(name, writeRecords([records[0], rest]));
      await expect(failed).rejects.toThrow(new RegExp(`records\\.jsonl:2: ${key}[\\w.]*: expected .* but received`));
    }
  });
});

it("reads ARC as its authors published it", async () => {
  const question = {
    stem: "Which is hot?",
    choices: [
      { text: "ice", label: "A" },
      { text: "fire", label: "B" },
    ],
  };
  const items = await converted("arc", writeRecords([{ id: "x", question, answerKey: "B" }]), { task: "arc_easy" });
  expect(items).toEqual([
    { query: "Question: Which is hot?\nAnswer:", choices: [" ice", " fire"], gold: 1, task: "arc_easy" },
  ]);
});

it("puts MMLU's sentence about a subject where it is asked for", async () => {
  const file = writeRecords(published.mmlu!.records);
  const begins = async (describe: "each" | "first" | "none") =>
    (await converted("mmlu", file, { describe })).map(
      (item) => "query" in item && item.query.startsWith("The following"),
    );
  expect(await begins("each")).toEqual([true, true, true]);
  expect(await begins("first")).toEqual([true, false, true]);
  expect(await begins("none")).toEqual([false, false, false]);
});

it("refuses what is no such file or name", async () => {
  await expect(converted("boolq" as never, "a.jsonl")).rejects.toThrow(
    /convertTask: name: expected hellaswag, arc, .*boolq/,
  );
  await expect(converted("arc", path("none.parquet"))).rejects.toThrow(
    /none\.parquet: expected a Parquet file but received/,
  );
  writeFileSync(path("text.parquet"), "text");
  await expect(converted("arc", path("text.parquet"))).rejects.toThrow(/text\.parquet: expected a Parquet file/);
});
