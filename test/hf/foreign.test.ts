/** Folders that are not quite a model: what they are, and what would change a model in silence. */
import { cpSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { CheckpointError } from "../../lib/errors.js";
import { exportGguf } from "../../lib/gguf/export.js";
import { exportHf } from "../../lib/hf/export.js";
import { modelFolder } from "../../lib/hf/hub_cache.js";
import { type SafetensorsEntry, SafetensorsFile, writeSafetensors } from "../../lib/hf/safetensors.js";
import { Llama } from "../../lib/nn/llama.js";
import { temporaryFolder } from "../support/temporary.js";
import { tensorBytesOf } from "../support/tensors.js";

const path = temporaryFolder();
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/hf/${name}`, import.meta.url));
const load = (folder: string) => Llama.load(folder, { device: "cpu", precision: "fp32" });

async function refused(folder: string, says: RegExp): Promise<void> {
  const error: unknown = await load(folder).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CheckpointError);
  expect((error as Error).message).toMatch(says);
}

/** A copy of a fixture with more tensors. */
async function withTensors(
  name: string,
  more: readonly Partial<SafetensorsEntry & { copyOf: string }>[],
): Promise<string> {
  cpSync(fixture(name), path("m"), { recursive: true });
  const file = await SafetensorsFile.open(`${fixture(name)}/model.safetensors`);
  const read = async (tensor: string): Promise<SafetensorsEntry> => {
    const bytes = await tensorBytesOf(file, tensor);
    return { name: tensor, ...file.info(tensor), data: () => [bytes] };
  };
  const entries = await Promise.all(file.names().map(read));
  for (const { copyOf, ...entry } of more) {
    entries.push(
      copyOf === undefined
        ? { dtype: "F32", shape: [2], data: () => [new Uint8Array(8)], name: "", ...entry }
        : { ...(await read(copyOf)), ...entry },
    );
  }
  await file.close();
  await writeSafetensors(path("m/model.safetensors"), entries);
  return path("m");
}

describe("tensors that nobody asked for", () => {
  it.each([
    ["a bias", "model.layers.0.self_attn.q_proj.bias"],
    ["a norm of queries", "model.layers.1.self_attn.q_norm.weight"],
    ["a layer more than the config has", "model.layers.9.mlp.up_proj.weight"],
    ["a bias of the head", "lm_head.bias"],
  ])("are refused where they would change the result: %s", async (_, name) => {
    const folder = await withTensors("gqa", [{ name }]);
    await refused(
      folder,
      new RegExp(
        `m: expected no tensor beside those of a \\d-layer llama, .* but received ${name.replaceAll(".", "\\.")}, which would`,
      ),
    );
    await expect(exportGguf(folder, path("x.gguf"))).rejects.toThrow(CheckpointError);
  });

  it("are refused as a head of its own beside a tied one, unless it is the embedding", async () => {
    const same = await withTensors("tied", [{ name: "lm_head.weight", copyOf: "model.embed_tokens.weight" }]);
    (await load(same)).dispose();
    const embedding = await SafetensorsFile.open(`${same}/model.safetensors`);
    const shape = embedding.info("model.embed_tokens.weight");
    const bytes = Uint8Array.from(await tensorBytesOf(embedding, "model.embed_tokens.weight"));
    await embedding.close();
    bytes[5]! ^= 1;
    const other = await withTensors("tied", [{ name: "lm_head.weight", ...shape, data: () => [bytes] }]);
    await refused(
      other,
      /received lm_head\.weight \(config\.json says tie_word_embeddings: true\), which would change/,
    );
  });

  it("are passed over where they cannot, and named", async () => {
    const names = ["model.layers.0.self_attn.rotary_emb.inv_freq", "vision_tower.patch.weight"];
    using model = await load(
      await withTensors(
        "gqa",
        names.map((name) => ({ name })),
      ),
    );
    expect(model.unasked).toEqual(["vision_tower.patch.weight"]);
    using plain = await load(fixture("gqa"));
    expect(plain.unasked).toEqual([]);
  });
});

describe("tensors by other names", () => {
  /** A copy of a fixture with its tensors renamed; null leaves one out. */
  async function renamed(name: string, rename: (tensor: string) => string | null): Promise<string> {
    cpSync(fixture(name), path("m"), { recursive: true });
    const file = await SafetensorsFile.open(`${fixture(name)}/model.safetensors`);
    const entries: SafetensorsEntry[] = [];
    for (const tensor of file.names()) {
      const [to, bytes] = [rename(tensor), await tensorBytesOf(file, tensor)];
      if (to !== null) entries.push({ name: to, ...file.info(tensor), data: () => [bytes] });
    }
    await file.close();
    await writeSafetensors(path("m/model.safetensors"), entries);
    return path("m");
  }

  it.each([
    [
      "without a prefix, of a model that was saved without its head",
      "tied",
      (name: string) => name.replace(/^model\./, ""),
    ],
    ["the same with a head", "gqa", (name: string) => name.replace(/^model\./, "")],
    [
      "a tied embedding as the head alone",
      "tied",
      (name: string) => (name === "model.embed_tokens.weight" ? "lm_head.weight" : name),
    ],
  ])("are read as what they are: %s", async (_, name, rename) => {
    const folder = await renamed(name, rename);
    using model = await load(folder);
    using plain = await load(fixture(name));
    const of = async (loaded: Llama) => [...(await loaded.forward([1, 2, 3, 4]).logits.read())];
    expect(await of(model)).toEqual(await of(plain));
    expect(model.unasked).toEqual([]);
    const { tensors } = await exportHf(folder, path("hf"));
    expect(tensors).toBe(plain.parameters.layout.slots.length);
    const exported = await SafetensorsFile.open(path("hf/model.safetensors"));
    expect(exported.has("model.embed_tokens.weight")).toBe(true);
    await exported.close();
  });

  it("are named where something else has wrapped the model", async () => {
    const folder = await renamed("gqa", (tensor) => `_orig_mod.${tensor}`);
    await refused(
      folder,
      /expected a tensor "model\.embed_tokens\.weight" of shape .* but received a model with "_orig_mod\./,
    );
  });
});

describe("a folder", () => {
  beforeEach(() => {
    mkdirSync(path("m"));
    cpSync(`${fixture("gqa")}/config.json`, path("m/config.json"));
  });

  it.each([
    [
      "pytorch_model.bin",
      /m: expected model\.safetensors .* but received weights as a pickle \(pytorch_model\.bin\), which can run any code/,
    ],
    ["pytorch_model-00001-of-00002.bin", /a pickle \(pytorch_model-00001-of-00002\.bin\)/],
    ["consolidated.00.pth", /a pickle \(consolidated\.00\.pth\)/],
    ["model.Q4_K_M.gguf", /a GGUF file \(model\.Q4_K_M\.gguf\)/],
    ["tf_model.h5", /weights for another library \(tf_model\.h5\)/],
    ["notes.txt", /but received neither$/],
  ])("with %s is named for what it is", async (name, says) => {
    writeFileSync(path(`m/${name}`), "x");
    await refused(path("m"), says);
  });

  it("with an adapter is named for what it is", async () => {
    rmSync(path("m/config.json"));
    writeFileSync(path("m/adapter_config.json"), "{}");
    writeFileSync(path("m/adapter_model.safetensors"), "x");
    await refused(
      path("m"),
      /m: expected a model's configuration but received an adapter \(adapter_config\.json\), .*merge it/,
    );
  });

  it("with quantised weights is named for what it is", async () => {
    const config = JSON.parse(readFileSync(path("m/config.json"), "utf8")) as object;
    writeFileSync(
      path("m/config.json"),
      JSON.stringify({ ...config, quantization_config: { quant_method: "gptq", bits: 4 } }),
    );
    await refused(path("m"), /quantization_config: expected weights in fp32, bf16 or fp16 but received those of gptq$/);
  });

  it("with a Git LFS pointer is named for what it is", async () => {
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 123\n`;
    writeFileSync(path("m/model.safetensors"), pointer);
    await refused(
      path("m"),
      /model\.safetensors: expected a safetensors file but received a Git LFS pointer to it; fetch it with: git lfs pull$/,
    );
  });
});

describe("a name in Hugging Face's cache", () => {
  const before = { ...process.env };
  afterEach(() => {
    process.env = { ...before };
  });

  const snapshot = (hash: string): string => path(`hub/models--org--small.model/snapshots/${hash}`);

  it("is its main snapshot, else the newest", async () => {
    process.env.HF_HUB_CACHE = path("hub");
    for (const hash of ["aaa", "bbb"]) cpSync(fixture("gqa"), snapshot(hash), { recursive: true });
    utimesSync(snapshot("aaa"), 1, 1);
    expect(modelFolder("org/small.model")).toBe(snapshot("bbb"));
    mkdirSync(path("hub/models--org--small.model/refs"));
    writeFileSync(path("hub/models--org--small.model/refs/main"), "aaa\n");
    expect(modelFolder("org/small.model")).toBe(snapshot("aaa"));
    using model = await load("org/small.model");
    expect(model.folder).toBe(snapshot("aaa"));
    delete process.env.HF_HUB_CACHE;
    process.env.HF_HOME = path();
    expect(modelFolder("org/small.model")).toBe(snapshot("aaa"));
  });

  it("is not fetched: what to type is said", async () => {
    process.env.HF_HUB_CACHE = path("hub");
    await refused(
      "org/none",
      /^org\/none: expected a model folder, or a model in Hugging Face's cache \(.*hub\), but received neither; fetch it with: hf download org\/none$/,
    );
    expect(modelFolder(path("none"))).toBe(path("none")); // a path is one
    expect(modelFolder("none")).toBe("none");
    mkdirSync(path("org/none"), { recursive: true });
    expect(modelFolder(path("org/none"))).toBe(path("org/none"));
  });
});
