/** Fuzzers of the files that the package reads. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { stringify } from "yaml";
import { loadRunConfig } from "../../lib/config/config.js";
import { openShard } from "../../lib/data/shard.js";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import { readModelConfig } from "../../lib/hf/model_config.js";
import { SafetensorsFile, writeSafetensors } from "../../lib/hf/safetensors.js";
import { readMetrics } from "../../lib/report/metrics.js";
import { writeShard } from "../support/made_run.js";
import { type Json, mutatedBytes, mutatedJson } from "./mutations.js";
import { type FuzzTarget, fuzzTarget } from "./target.js";

/** All of them, over files in a folder of their own; `close` deletes it. */
export async function fileTargets(): Promise<{ targets: readonly FuzzTarget[]; close: () => void }> {
  const folder = mkdtempSync(join(tmpdir(), "nextpatch-fuzz-"));
  const path = (name: string) => join(folder, name);

  const tensor = (name: string, shape: number[]) => ({
    name,
    dtype: "F32" as const,
    shape,
    data: () => [new Uint8Array(4 * shape.reduce((product, size) => product * size, 1))],
  });
  await writeSafetensors(path("model.safetensors"), [tensor("a", [2, 3]), tensor("b", [4]), tensor("c", [])]);
  const weights = readFileSync(path("model.safetensors"));
  const headerBytes = Number(weights.readBigUInt64LE(0));
  const header = JSON.parse(weights.subarray(8, 8 + headerBytes).toString()) as Json;

  await writeShard(
    path("shard.bin"),
    Uint16Array.from({ length: 200 }, (_, i) => i),
  );
  const shard = readFileSync(path("shard.bin"));

  const openWeights = async (input: string | Uint8Array) => {
    writeFileSync(path("fuzzed.safetensors"), input);
    const file = await SafetensorsFile.open(path("fuzzed.safetensors"));
    await file.close();
  };
  const reading = (name: string, read: (file: string) => Promise<unknown>) => async (input: string | Uint8Array) => {
    writeFileSync(path(name), input);
    await read(path(name));
  };
  const loadConfig = (name: string) => reading(name, (file) => loadRunConfig(file));

  const opening = reading("fuzzed.bin", async (file) => (await openShard(file)).close());
  const headers = mutatedJson(header).map((text) => withHeader(text, weights.subarray(8 + headerBytes)));
  const lines = fc.array(mutatedJson(metricsLine), { maxLength: 5 }).map((some) => some.join("\n"));
  const targets = [
    fuzzTarget("safetensors-bytes", mutatedBytes(weights), openWeights),
    fuzzTarget("safetensors-header", headers, openWeights),
    fuzzTarget("shard", mutatedBytes(shard), opening),
    fuzzTarget("tokenizer", mutatedJson(tokenizer), reading("tokenizer.json", encodeSome)),
    fuzzTarget("config-json", mutatedJson(runConfig), loadConfig("config.json")),
    fuzzTarget("config-yaml", mutatedText(stringify(runConfig)), loadConfig("config.yaml")),
    fuzzTarget(
      "model-config",
      mutatedJson(modelConfig),
      reading("config.json", () => readModelConfig(folder)),
    ),
    fuzzTarget(
      "metrics",
      lines,
      reading("metrics.jsonl", (file) => readMetrics(file)),
    ),
  ];
  return { targets, close: () => rmSync(folder, { recursive: true, force: true }) };
}

function withHeader(text: string, data: Uint8Array): Uint8Array {
  const header = Buffer.from(text);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, data]);
}

/** A text with pieces of itself removed, repeated, or replaced by what YAML has a meaning for. */
function mutatedText(base: string): fc.Arbitrary<string> {
  const piece = fc.constantFrom(
    "&a ",
    "*a",
    "!!binary ",
    "<<: ",
    "- ",
    ": ",
    "{",
    "[",
    "|\n",
    "? ",
    "\t",
    "#",
    "\u0000",
    "[".repeat(5000),
  );
  const edit = fc.record({ place: fc.nat(base.length), remove: fc.nat(20), insert: fc.oneof(piece, fc.string()) });
  return fc
    .array(edit, { minLength: 1, maxLength: 4 })
    .map((edits) =>
      edits.reduce(
        (text, { place, remove, insert }) => text.slice(0, place) + insert + text.slice(place + remove),
        base,
      ),
    );
}

async function encodeSome(file: string): Promise<void> {
  const tokenizer = await Tokenizer.fromFile(file);
  await tokenizer.encode("a b ab");
}

const tokenizer: Json = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [
    { id: 0, content: "<end>", single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  ],
  normalizer: null,
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: null,
  decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: { "<end>": 0, a: 1, b: 2, ab: 3, Ġ: 4 },
    merges: [["a", "b"]],
  },
};

const modelConfig: Json = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  vocab_size: 96,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  rope_scaling: {
    rope_type: "llama3",
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 32,
  },
  tie_word_embeddings: true,
};

const runConfig: Json = {
  name: "made",
  model: { hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 2, vocab_size: 96 },
  data: { train: "train.bin", val: ["val.bin"] },
  stages: [{ patchSize: 4, fraction: 0.5, of: "steps", optimizer: { lr: 0.1 } }, { patchSize: 1 }],
  batch: { tokensPerStep: 256, sequenceLength: 16, microBatch: "auto" },
  train: { steps: 12 },
  optimizer: { type: "muon", lr: 3e-3, betas: [0.9, 0.95], muon: { lr: 0.02 } },
  schedule: { type: "wsd", warmupSteps: 2, decayFraction: 0.1 },
  eval: { everySteps: 4, sequences: 8 },
  checkpoint: { everySteps: 100, keep: 2 },
  guard: { loss: 5 },
};

const metricsLine: Json = {
  step: 1,
  stage: 0,
  patchSize: 4,
  tokens: 256,
  positions: 64,
  loss: 4.5,
  lr: 1e-3,
  gradNorm: 1,
  seconds: 0.1,
  tokensPerSecond: 2560,
  flops: 1e6,
  mfu: null,
  valLoss: 4.4,
};
