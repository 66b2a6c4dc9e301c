/** A fuzzer of what a run is resumed from: one of the JSON files of a stopped run, or of its data, is changed. */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import fc from "fast-check";
import { Trainer } from "../../lib/train/trainer.js";
import { madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { type Json, mutatedJson } from "./mutations.js";
import { type FuzzTarget, fuzzTarget } from "./target.js";

interface Input {
  /** In the run's folder. */
  readonly file: string;
  readonly text: string;
}

/** `close` deletes its files. */
export async function runFolderTarget(): Promise<{ target: FuzzTarget; close: () => void }> {
  const folder = mkdtempSync(join(tmpdir(), "nextpatch-fuzz-"));
  await writeMadeData(folder);
  const shards = ["train.bin", "val.bin"].map((file) => describeShard(folder, file));
  writeFileSync(join(folder, "dataset.json"), JSON.stringify({ ...dataset, shards }));
  const config = madeConfig(folder, { out: join(folder, "run") });
  await runTo(config, { until: 5 });
  const intact = join(folder, "intact");
  const run = join(folder, "run");
  cpSync(run, intact, { recursive: true });
  cpSync(join(folder, "dataset.json"), join(intact, "dataset.json"));

  const names = (readdirSync(intact, { recursive: true }) as string[]).filter((name) => /\.jsonl?$/.test(name));
  const inputs = fc.oneof(
    ...names.map((file) => {
      const content = readFileSync(join(intact, file), "utf8");
      const text = file.endsWith(".jsonl")
        ? fc.tuple(
            ...content
              .trim()
              .split("\n")
              .map((line) => mutatedJson(JSON.parse(line) as Json)),
          )
        : mutatedJson(JSON.parse(content) as Json);
      return fc.record({ file: fc.constant(file), text: text.map((some) => [some].flat().join("\n")) });
    }),
  );
  const take = async ({ file, text }: Input): Promise<void> => {
    rmSync(run, { recursive: true });
    cpSync(intact, run, { recursive: true });
    cpSync(join(intact, "dataset.json"), join(folder, "dataset.json"));
    const changed = file === "dataset.json" ? join(folder, file) : join(run, file);
    writeFileSync(changed, text);
    // Who edits a file of a checkpoint is told to delete this; it would say no more than that the file was edited.
    for (let at = dirname(changed); basename(changed) !== "manifest.json" && at.startsWith(run); at = dirname(at)) {
      if (existsSync(join(at, "manifest.json"))) rmSync(join(at, "manifest.json"));
    }
    await (await Trainer.open(config, { resume: true })).close();
  };
  return { target: fuzzTarget("run-folder", inputs, take), close: () => rmSync(folder, { recursive: true }) };
}

/** As dataset.json has it; ids of two bytes behind a header of 1024. */
function describeShard(folder: string, file: string) {
  const content = readFileSync(join(folder, file));
  const sha256 = createHash("sha256").update(content).digest("hex");
  return { file, tokens: (content.length - 1024) / 2, bytes: content.length, sha256 };
}

const dataset = {
  vocabSize: 96,
  endOfTextId: 0,
  endOfText: "<end>",
  dtype: "uint16",
  tokens: { train: 6000, val: 128 },
  documents: { train: 1, val: 1 },
  bytes: { train: 20_000, val: 500 },
  shardTokens: 100_000_000,
  valFraction: 0.01,
  tokenizerSha256: "0".repeat(64),
};
