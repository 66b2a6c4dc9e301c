/** Fuzzers of the files that the package reads, but training data: sources.ts has those. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { stringify } from "yaml";
import { loadRunConfig } from "../../lib/config/config.js";
import { openShard } from "../../lib/data/shard.js";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import { readModelConfig } from "../../lib/hf/model_config.js";
import { SafetensorsFile, writeSafetensors } from "../../lib/hf/safetensors.js";
import { readMetrics } from "../../lib/report/metrics.js";
import { writeShard } from "../support/made_run.js";
import { type Json, mutatedBytes, mutatedJson, mutatedText } from "./mutations.js";
import { metricsLine, modelConfig, runConfig, tokenizer } from "./samples.js";
import { sourceFuzzers } from "./sources.js";
import { fuzzTarget } from "./target.js";
import type { MadeTarget } from "./targets.js";

/** A file that is written anew with each input, and what reads it. */
export interface FileFuzzer {
  /** The file's name. */
  readonly name: string;
  readonly inputs: fc.Arbitrary<string | Uint8Array>;
  readonly read: (path: string) => Promise<unknown>;
}

/** By name; what they read besides lies in the folder that they are given. */
const fuzzers: Readonly<Record<string, (folder: string) => FileFuzzer | Promise<FileFuzzer>>> = {
  "safetensors-bytes": async (folder) => {
    return { name: "model.safetensors", inputs: mutatedBytes(await weights(folder)), read: openWeights };
  },
  "safetensors-header": async (folder) => {
    const all = await weights(folder);
    const end = 8 + Number(all.readBigUInt64LE(0));
    const header = JSON.parse(all.subarray(8, end).toString()) as Json;
    const inputs = mutatedJson(header).map((text) => withHeader(text, all.subarray(end)));
    return { name: "model.safetensors", inputs, read: openWeights };
  },
  shard: async (folder) => {
    const path = join(folder, "valid.bin");
    await writeShard(
      path,
      Uint16Array.from({ length: 200 }, (_, i) => i),
    );
    const read = async (file: string) => (await openShard(file)).close();
    return { name: "fuzzed.bin", inputs: mutatedBytes(readFileSync(path)), read };
  },
  tokenizer: () => ({ name: "tokenizer.json", inputs: mutatedJson(tokenizer), read: encodeSome }),
  "config-json": () => ({ name: "run.json", inputs: mutatedJson(runConfig), read: (file) => loadRunConfig(file) }),
  "config-yaml": () => {
    return { name: "run.yaml", inputs: mutatedText(stringify(runConfig)), read: (file) => loadRunConfig(file) };
  },
  "model-config": () => {
    return { name: "config.json", inputs: mutatedJson(modelConfig), read: (file) => readModelConfig(dirname(file)) };
  },
  metrics: () => {
    const lines = fc.array(mutatedJson(metricsLine), { maxLength: 5 }).map((some) => some.join("\n"));
    return { name: "metrics.jsonl", inputs: lines, read: (file) => readMetrics(file) };
  },
  ...sourceFuzzers,
};

export const fileTargetNames: readonly string[] = Object.keys(fuzzers);

/** @param target one of `fileTargetNames` */
export async function fileTarget(target: string): Promise<MadeTarget> {
  const folder = mkdtempSync(join(tmpdir(), "nextpatch-fuzz-"));
  const { name, inputs, read } = await fuzzers[target]!(folder);
  const path = join(folder, name);
  const take = async (input: string | Uint8Array): Promise<void> => {
    writeFileSync(path, input);
    await read(path);
  };
  return {
    target: fuzzTarget(target, inputs, take),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function weights(folder: string): Promise<Buffer> {
  const path = join(folder, "valid.safetensors");
  const tensor = (name: string, shape: number[]) => ({
    name,
    dtype: "F32" as const,
    shape,
    data: () => [new Uint8Array(4 * shape.reduce((product, size) => product * size, 1))],
  });
  await writeSafetensors(path, [tensor("a", [2, 3]), tensor("b", [4]), tensor("c", [])]);
  return readFileSync(path);
}

async function openWeights(path: string): Promise<void> {
  const file = await SafetensorsFile.open(path);
  await file.close();
}

function withHeader(text: string, data: Uint8Array): Uint8Array {
  const header = Buffer.from(text);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, data]);
}

async function encodeSome(path: string): Promise<void> {
  const encoder = await Tokenizer.fromFile(path);
  await encoder.encode("a b ab");
}
