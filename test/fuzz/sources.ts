/** Fuzzers of training data, which is read as `prepare` reads it. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { readDocuments } from "../../lib/data/sources.js";
import { fixture } from "../data/sources/reading.js";
import type { FileFuzzer } from "./files.js";
import { type Json, mutatedBytes, mutatedJson, mutatedText } from "./mutations.js";

const rows: readonly Json[] = [
  { text: "one é", id: 1 },
  { id: 2, text: null, meta: { body: ["x"] } },
  { text: "", other: 1.5e300 },
];
const csv = 'id,text\n1,"a ""b"" c"\n2,\n3,"two\nlines"\n';
const lines = fc.array(fc.oneof(...rows.map(mutatedJson)), { maxLength: 5 }).map((some) => some.join("\n"));

/** One of several fixtures, changed. */
const fixtures = (...names: string[]) => fc.oneof(...names.map((name) => mutatedBytes(readFileSync(fixture(name)))));

const source = (name: string, inputs: FileFuzzer["inputs"]) => (): FileFuzzer => ({ name, inputs, read: readAll });

export const sourceFuzzers: Readonly<Record<string, () => FileFuzzer>> = {
  text: source("a.txt", mutatedBytes(Buffer.from("some words é 😀\r\n".repeat(20)))),
  jsonl: source("a.jsonl", fc.oneof(lines, mutatedText(rows.map((row) => JSON.stringify(row)).join("\n")))),
  json: source("a.json", fc.oneof(mutatedJson([...rows]), lines)),
  csv: source("a.csv", mutatedText(csv)),
  parquet: source("a.parquet", fixtures("no_crc.parquet", "no_crc.parquet", "v2.parquet", "snappy.parquet")),
  "arrow-stream": source("a.arrow", fixtures("plain_stream.arrow", "dictionary_stream.arrow", "zstd_stream.arrow")),
  "arrow-file": source("a.arrow", fixtures("views_file.arrow", "lz4_file.arrow")),
  gzip: source("a.jsonl.gz", mutatedBytes(gzipSync(rows.map((row) => JSON.stringify(row)).join("\n")))),
  zstd: source("a.txt.zst", fixtures("words_1.txt.zst", "words_19.txt.zst", "words_frames.txt.zst")),
  xz: source("a.txt.xz", fixtures("words.txt.xz", "words_streams.txt.xz")),
  bzip2: source("a.txt.bz2", fixtures("words.txt.bz2", "run.txt.bz2")),
};

async function readAll(path: string): Promise<void> {
  for await (const { text } of readDocuments(path)) if (text.length < 0) return;
}
