/** Loading and saving models as Hugging Face folders. */
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import { CheckpointError, ConfigError } from "../../lib/errors.js";
import { type Preset, presets } from "../../lib/hf/presets.js";
import { type SafetensorsEntry, SafetensorsFile, writeSafetensors } from "../../lib/hf/safetensors.js";
import { Llama } from "../../lib/nn/llama.js";
import { backends, open } from "../support/backends.js";
import { madeTokenizer } from "../support/made_tokenizer.js";
import { temporaryFolder } from "../support/temporary.js";
import { tensorBytesOf } from "../support/tensors.js";

const path = temporaryFolder();
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/hf/${name}`, import.meta.url));
const weights = (folder: string) => readFileSync(`${folder}/model.safetensors`);

/** The tensors of a folder, as another element type has them. */
async function convert(
  from: string,
  to: string,
  entry: (name: string, values: Uint8Array) => Partial<SafetensorsEntry>,
): Promise<void> {
  cpSync(from, to, { recursive: true });
  const file = await SafetensorsFile.open(`${from}/model.safetensors`);
  const entries = await Promise.all(
    file.names().map(async (name) => {
      const { dtype, shape } = file.info(name);
      const bytes = await tensorBytesOf(file, name);
      return { name, dtype, shape, data: () => [bytes], ...entry(name, bytes) };
    }),
  );
  await file.close();
  await writeSafetensors(`${to}/model.safetensors`, entries);
}

/** The bits of the half nearest to a float that halves can hold exactly, or whose lower bits are cut. */
function toHalf(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!;
  const exponent = ((bits >>> 23) & 255) - 127 + 15;
  if (exponent <= 0) return (bits >>> 16) & 0x8000;
  return ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 1023);
}

function fromHalf(half: number): number {
  const magnitude = (half & 0x7fff) === 0 ? 0 : 2 ** (((half >> 10) & 31) - 15) * (1 + (half & 1023) / 1024);
  return half & 0x8000 ? -magnitude : magnitude;
}

describe.each(backends)("a model folder on %s", (backend) => {
  const device = open(backend);

  it.each([
    { source: "untied", precision: "fp32" },
    { source: "tied", precision: "fp32" },
    { source: "gqa", precision: "fp32" },
    { source: "bf16", precision: "bf16" },
  ] as const)("comes back bit for bit: $source", async ({ source, precision }) => {
    using model = await Llama.load(fixture(source), { device, precision });
    await model.save(path("saved"));
    const theirs = await SafetensorsFile.open(`${fixture(source)}/model.safetensors`);
    const ours = await SafetensorsFile.open(path("saved/model.safetensors"));
    expect([...ours.names()].sort()).toEqual([...theirs.names()].sort());
    for (const name of theirs.names()) {
      expect(ours.info(name)).toMatchObject({ dtype: theirs.info(name).dtype, shape: theirs.info(name).shape });
      expect(Buffer.from(await tensorBytesOf(ours, name)).equals(Buffer.from(await tensorBytesOf(theirs, name)))).toBe(
        true,
      );
    }
    await Promise.all([theirs.close(), ours.close()]);
    using again = await Llama.load(path("saved"), { device, precision });
    await again.save(path("again"));
    expect(again.config).toEqual(model.config);
    expect(weights(path("again")).equals(weights(path("saved")))).toBe(true);
  });

  it("is read from F16 and from BF16, exactly", async () => {
    const floats = (bytes: Uint8Array) => new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    const expected = new Map<string, Float32Array>();
    await convert(fixture("gqa"), path("half"), (name, bytes) => {
      const halves = Uint16Array.from(floats(bytes), toHalf);
      expected.set(name, Float32Array.from(halves, fromHalf));
      return { dtype: "F16", data: () => [new Uint8Array(halves.buffer)] };
    });
    using half = await Llama.load(path("half"), { device, precision: "fp32" });
    for (const [name, values] of expected) {
      expect(await half.parameters.view(half.parameters.master, name).read()).toEqual(values);
    }
    await convert(fixture("gqa"), path("bfloat"), (name, bytes) => {
      const upper = Uint16Array.from(new Uint32Array(floats(bytes).slice().buffer), (bits) => bits >>> 16);
      expected.set(name, new Float32Array(Uint32Array.from(upper, (bits) => bits << 16).buffer));
      return { dtype: "BF16", data: () => [new Uint8Array(upper.buffer)] };
    });
    using bfloat = await Llama.load(path("bfloat"), { device, precision: "fp32" });
    for (const [name, values] of expected) {
      expect(await bfloat.parameters.view(bfloat.parameters.master, name).read()).toEqual(values);
    }
  });

  it("is not loaded, made or saved with arguments that are wrong", async () => {
    const load = Llama.load as (...args: unknown[]) => Promise<Llama>;
    await expect(load(7)).rejects.toThrow("Llama.load: folder: expected a string but received 7");
    await expect(load("m", null)).rejects.toThrow("Llama.load: options: expected an object but received null");
    await expect(load("m", { device: {} })).rejects.toThrow("Llama.load: device: expected a Device but received");
    const make = (options: object) => () => Llama.create(presets.tiny, options);
    expect(make({ precision: "fp16" })).toThrow(/^Llama\.create: precision: expected auto, bf16 or fp32 but received /);
    expect(make({ device: "gpu" })).toThrow(
      /^Llama\.create: device: expected auto, cpu, .* but received the string "gpu"$/,
    );
    expect(make({ seed: 0.5 })).toThrow(
      /^Llama\.create: seed: expected a whole number of at least 0 but received 0\.5$/,
    );
    const partial = { hidden_size: 64, num_attention_heads: 2 } as unknown as Preset;
    expect(() => Llama.create(partial)).toThrow(
      new ConfigError(
        ["vocab_size", "intermediate_size", "num_hidden_layers"]
          .map((key) => `model: ${key}: expected a value but received nothing`)
          .join("\n"),
      ),
    );
    using model = await Llama.load(fixture("gqa"), { device });
    const save = model.save.bind(model) as (...args: unknown[]) => Promise<void>;
    await expect(save(null)).rejects.toThrow("Llama.save: folder: expected a string but received null");
    await expect(save(path("x"), { tokenizer: {} })).rejects.toThrow(
      /^Llama\.save: tokenizer\.path: expected a string/,
    );
  });

  it("is saved with a tokenizer, once all that is asked for can be had", async () => {
    using model = Llama.create({ ...presets.tiny, vocab_size: 300, num_hidden_layers: 1 }, { device });
    const tokenizer = await Tokenizer.fromJson(madeTokenizer());
    await model.save(path("with"), { tokenizer });
    const read = await Tokenizer.fromFile(path("with"));
    expect([read.hash, read.endOfText]).toEqual([tokenizer.hash, "<|endoftext|>"]);
    expect(JSON.parse(readFileSync(path("with/tokenizer_config.json"), "utf8"))).toMatchObject({
      bos_token: "<|endoftext|>",
      eos_token: "<|endoftext|>",
      model_max_length: 2048,
    });
    // One from a folder comes with what lies beside it.
    writeFileSync(path("with/chat_template.jinja"), "{{ messages }}");
    await model.save(path("again"), { tokenizer: read });
    expect(readFileSync(path("again/chat_template.jinja"), "utf8")).toBe("{{ messages }}");

    using small = Llama.create({ ...presets.tiny, vocab_size: 64, num_hidden_layers: 1 }, { device });
    await expect(small.save(path("none"), { tokenizer })).rejects.toThrow(
      /^Llama\.save: tokenizer: expected at most the model's 64 tokens but received 257$/,
    );
    const file = { path: path("nowhere/tokenizer.json"), endOfText: "e", maxLength: 8 };
    await expect(model.save(path("none"), { tokenizer: file })).rejects.toThrow("ENOENT");
    await expect(model.save(path("none"), { base: path("nowhere") })).rejects.toThrow(CheckpointError);
    small.dispose();
    await expect(small.save(path("none"))).rejects.toThrow("Llama.save: this: expected a live model");
    expect(existsSync(path("none"))).toBe(false);
  });

  it("that is not whole is refused, by the name of what is wrong", async () => {
    const missing = Llama.load(path("none"), { device });
    await expect(missing).rejects.toThrow(
      new CheckpointError(`${path("none")}: expected a model folder but received a folder that does not exist`),
    );
    await expect(missing).rejects.toBeInstanceOf(CheckpointError);
    await convert(fixture("gqa"), path("integers"), (name) => (name === "model.norm.weight" ? { dtype: "I32" } : {}));
    await expect(Llama.load(path("integers"), { device })).rejects.toThrow(
      /model\.norm\.weight: expected F32, F16 or BF16 but received I32/,
    );
    await convert(fixture("gqa"), path("reshaped"), (name, bytes) =>
      name === "model.norm.weight" ? { shape: [1, bytes.byteLength / 4] } : {},
    );
    await expect(Llama.load(path("reshaped"), { device })).rejects.toThrow(
      /model\.norm\.weight: expected shape \[\d+\].*but received \[1, \d+\]/,
    );
    await convert(fixture("gqa"), path("renamed"), (name) => (name === "model.norm.weight" ? { name: "norm" } : {}));
    await expect(Llama.load(path("renamed"), { device })).rejects.toThrow(/expected a tensor "model\.norm\.weight"/);
    rmSync(path("renamed/model.safetensors"));
    await expect(Llama.load(path("renamed"), { device })).rejects.toThrow(CheckpointError);
  });

  it.each([
    ["of another architecture", '{ "model_type": "gpt2" }', /config\.json: model_type: expected "llama".* "gpt2"/],
    ["that is no JSON", "{", /config\.json: expected a model's configuration/],
    ["with two problems", '{ "hidden_act": "gelu", "head_dim": 7 }', /hidden_act: expected .*\n.*head_dim: expected /],
  ])("with a configuration %s is a CheckpointError", async (_, config, message) => {
    cpSync(fixture("gqa"), path("other"), { recursive: true });
    writeFileSync(path("other/config.json"), config);
    const loading = Llama.load(path("other"), { device });
    await expect(loading).rejects.toThrow(message);
    await expect(loading).rejects.toBeInstanceOf(CheckpointError);
  });
});

describe("a tensor of several pieces", () => {
  const device = open("cpu");

  it.each(["fp32", "bf16"] as const)("is written and read in its place, in %s", async (precision) => {
    // The embedding is larger than a piece of 16 MiB in both precisions.
    const heads = { num_attention_heads: 1, head_dim: 64, num_hidden_layers: 1, intermediate_size: 64 };
    const shape = { vocab_size: 140_001, hidden_size: 64, tie_word_embeddings: true, ...heads };
    using model = Llama.create(shape, { device, precision, seed: 3 });
    await model.save(path("large"));
    using again = await Llama.load(path("large"), { device, precision });
    const [before, after] = [await model.parameters.compute.read(), await again.parameters.compute.read()];
    expect(Buffer.compare(Buffer.from(after.buffer), Buffer.from(before.buffer))).toBe(0);
  });
});
