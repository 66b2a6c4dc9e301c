/** GGUF files, read back with Hugging Face's reader. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { GGMLQuantizationType, type GGUFParseOutput, GGUFValueType, gguf } from "@huggingface/gguf";
import { describe, expect, it } from "@jest/globals";
import { CheckpointError, ConfigError, DataError } from "../../lib/errors.js";
import { exportGguf } from "../../lib/gguf/export.js";
import { float16ToFloat32 } from "../../lib/hf/float_types.js";
import { SafetensorsFile, writeSafetensors } from "../../lib/hf/safetensors.js";
import { Llama } from "../../lib/nn/llama.js";
import { byteLevel, endOfText, madeTokenizer } from "../support/made_tokenizer.js";
import { temporaryFolder } from "../support/temporary.js";
import { tensorBytesOf } from "../support/tensors.js";

const path = temporaryFolder();

/** A tokenizer that fits the fixtures' vocabularies. */
const small = {
  characters: ["a", "b", "Ġ"],
  merges: [
    ["a", "b"],
    ["Ġ", "ab"],
  ] as [string, string][],
};

/** A fixture's copy, with a tokenizer and with other keys in its config.json. */
function folder(fixture: string, config: object = {}, tokenizer = madeTokenizer(small)): string {
  cpSync(fileURLToPath(new URL(`../fixtures/hf/${fixture}`, import.meta.url)), path("model"), { recursive: true });
  const before = JSON.parse(readFileSync(path("model/config.json"), "utf8")) as object;
  writeFileSync(path("model/config.json"), JSON.stringify({ ...before, ...config }));
  writeFileSync(path("model/tokenizer.json"), tokenizer);
  for (const name of ["generation_config.json", "tokenizer_config.json"])
    rmSync(path(`model/${name}`), { force: true });
  return path("model");
}

/** A file's head; its keys without the counts, as what they hold. */
async function read(file: string) {
  const parsed = await gguf(file, { allowLocalFile: true, typedMetadata: true });
  const keys = Object.fromEntries(Object.entries(parsed.metadata)) as Record<string, unknown>;
  return { ...parsed, keys };
}

/** The bytes of a tensor of a parsed file. */
function tensorBytes(file: string, { tensorInfos, tensorDataOffset }: GGUFParseOutput, name: string): Buffer {
  const { offset, shape, dtype } = tensorInfos.find((info) => info.name === name)!;
  const begin = Number(tensorDataOffset + offset);
  const elements = shape.reduce((product, size) => product * Number(size), 1);
  return readFileSync(file).subarray(begin, begin + elements * (dtype === GGMLQuantizationType.F32 ? 4 : 2));
}

const floats = (bytes: Uint8Array) => new Float32Array(new Uint8Array(bytes).buffer);

/** Their row of a projection that must stand at our row: within a head, 2 i is theirs at i, 2 i + 1 at i + half. */
function theirRow(row: number, headDim: number): number {
  const pair = Math.floor((row % headDim) / 2);
  return row - (row % headDim) + (row % 2 === 0 ? pair : pair + headDim / 2);
}

describe.each(["gqa", "tied", "untied", "bf16"])("the export of %s", (fixture) => {
  it("has every key of the model's shape", async () => {
    const model = folder(fixture);
    const config = JSON.parse(readFileSync(`${model}/config.json`, "utf8")) as Record<string, number>;
    await exportGguf(model, path("some.model.gguf"));
    const { keys: all, typedMetadata } = await read(path("some.model.gguf"));
    const { version, tensor_count, kv_count, ...keys } = all;
    expect({ version, tensor_count }).toEqual({ version: 3, tensor_count: BigInt(tensorCount(config)) });
    expect(kv_count).toBe(BigInt(Object.keys(keys).length));
    const padded = Array.from({ length: config.vocab_size! - 6 }, (_, index) => `[PAD${index + 6}]`);
    expect(keys).toEqual({
      "general.architecture": "llama",
      "general.type": "model",
      "general.name": "some.model",
      "general.file_type": fixture === "bf16" ? 32 : 0,
      "general.alignment": 32,
      "llama.vocab_size": config.vocab_size,
      "llama.context_length": config.max_position_embeddings,
      "llama.embedding_length": config.hidden_size,
      "llama.block_count": config.num_hidden_layers,
      "llama.feed_forward_length": config.intermediate_size,
      "llama.attention.head_count": config.num_attention_heads,
      "llama.attention.head_count_kv": config.num_key_value_heads,
      "llama.attention.layer_norm_rms_epsilon": Math.fround(config.rms_norm_eps!),
      "llama.rope.dimension_count": config.head_dim,
      "llama.rope.freq_base": Math.fround(theta(config)),
      "tokenizer.ggml.model": "gpt2",
      "tokenizer.ggml.pre": "gpt-2",
      "tokenizer.ggml.tokens": ["<|endoftext|>", "a", "b", "Ġ", "ab", "Ġab", ...padded],
      "tokenizer.ggml.token_type": [3, 1, 1, 1, 1, 1, ...padded.map(() => 5)],
      "tokenizer.ggml.merges": ["a b", "Ġ ab"],
      "tokenizer.ggml.bos_token_id": 0,
      "tokenizer.ggml.eos_token_id": 0,
      "tokenizer.ggml.add_bos_token": false,
      "tokenizer.ggml.add_eos_token": false,
    });
    // llama.cpp refuses a key of another type than it reads.
    type Typed = { type: GGUFValueType; subType?: GGUFValueType };
    for (const [key, { type, subType }] of Object.entries<Typed>(typedMetadata)) {
      const value = keys[key];
      if (value === undefined) continue;
      const isReal = /epsilon|freq_base/.test(key);
      const scalar = { string: "STRING", boolean: "BOOL", number: isReal ? "FLOAT32" : "UINT32" };
      const expected = Array.isArray(value) ? "ARRAY" : scalar[typeof value as keyof typeof scalar];
      expect([key, GGUFValueType[type]]).toEqual([key, expected]);
      if (subType !== undefined) expect(GGUFValueType[subType]).toBe(key.endsWith("token_type") ? "INT32" : "STRING");
    }
  });

  it("has every tensor, aligned and in llama.cpp's order of rows", async () => {
    const model = folder(fixture);
    const told: [number, number][] = [];
    const result = await exportGguf(model, path("m.gguf"), { onProgress: (...now) => void told.push(now) });
    const parsed = await read(path("m.gguf"));
    const source = await SafetensorsFile.open(`${model}/model.safetensors`);
    const config = JSON.parse(readFileSync(`${model}/config.json`, "utf8")) as Record<string, number>;
    expect(parsed.tensorInfos).toHaveLength(source.names().length);
    let offset = 0;
    let parameters = 0;
    for (const { name, shape, dtype, offset: found } of parsed.tensorInfos) {
      const theirs = source.info(original(name));
      const isNorm = theirs.shape.length === 1;
      expect([name, shape.map(Number)]).toEqual([name, [...theirs.shape].reverse()]);
      expect([name, GGMLQuantizationType[dtype]]).toEqual([name, isNorm ? "F32" : theirs.dtype]);
      expect([name, Number(found)]).toEqual([name, offset]);
      const bytes = tensorBytes(path("m.gguf"), parsed, name);
      offset += Math.ceil(bytes.byteLength / 32) * 32;
      parameters += theirs.shape.reduce((a, b) => a * b, 1);
      let expected = Buffer.from(await tensorBytesOf(source, original(name)));
      if (isNorm && theirs.dtype === "BF16") {
        expected = Buffer.concat(
          Array.from({ length: theirs.shape[0]! }, (_, at) => {
            return Buffer.of(0, 0, expected[2 * at]!, expected[2 * at + 1]!);
          }),
        );
      } else if (/attn_[qk]\./.test(name)) {
        const rows = theirs.shape[0]!;
        const rowBytes = expected.byteLength / rows;
        const row = (at: number) => expected.subarray(at * rowBytes, (at + 1) * rowBytes);
        const reordered = Array.from({ length: rows }, (_, at) => row(theirRow(at, config.head_dim!)));
        expect(Buffer.concat(reordered).equals(expected)).toBe(false);
        expected = Buffer.concat(reordered);
      }
      expect([name, bytes.equals(expected)]).toEqual([name, true]);
    }
    await source.close();
    const size = readFileSync(path("m.gguf")).byteLength;
    expect(Number(parsed.tensorDataOffset) % 32).toBe(0);
    expect(Number(parsed.tensorDataOffset) + offset).toBe(size);
    const counts = { tensors: parsed.tensorInfos.length, parameters };
    const dtype = fixture === "bf16" ? "BF16" : "F32";
    expect(result).toEqual({ file: path("m.gguf"), bytes: size, ...counts, dtype });
    expect(told).toHaveLength(result.tensors);
    expect(told.at(-1)).toEqual([size, size]);
  });
});

/** As transformers 5 writes it, or 4. */
function theta(config: Record<string, unknown>): number {
  return ((config.rope_parameters ?? config) as { rope_theta: number }).rope_theta;
}

function tensorCount(config: Record<string, unknown>): number {
  return 9 * (config.num_hidden_layers as number) + (config.tie_word_embeddings === true ? 2 : 3);
}

/** Hugging Face's name of a tensor, by llama.cpp's. */
function original(name: string): string {
  const outer: Record<string, string> = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
  };
  const inner: Record<string, string> = {
    attn_norm: "input_layernorm",
    ffn_norm: "post_attention_layernorm",
    attn_q: "self_attn.q_proj",
    attn_k: "self_attn.k_proj",
    attn_v: "self_attn.v_proj",
    attn_output: "self_attn.o_proj",
    ffn_gate: "mlp.gate_proj",
    ffn_up: "mlp.up_proj",
    ffn_down: "mlp.down_proj",
  };
  const [, layer, part] = /^blk\.(\d+)\.(\w+)\.weight$/.exec(name) ?? [];
  return layer === undefined ? outer[name]! : `model.layers.${layer}.${inner[part!]}.weight`;
}

describe("the export of other models", () => {
  it("keeps F16, with norms in F32", async () => {
    const model = folder("gqa");
    const source = await SafetensorsFile.open(`${model}/model.safetensors`);
    // Any halves will do: these are the upper bits of the floats.
    const halves = async (name: string) => {
      return Uint16Array.from(
        new Uint16Array((await tensorBytesOf(source, name)).buffer).filter((_, at) => at % 2 === 1),
      );
    };
    const names = source.names();
    const entries = names.map((name) => {
      const data = async function* () {
        yield new Uint8Array((await halves(name)).buffer);
      };
      return { name, dtype: "F16" as const, shape: source.info(name).shape, data };
    });
    await writeSafetensors(path("half.safetensors"), entries);
    cpSync(path("half.safetensors"), `${model}/model.safetensors`);
    expect((await exportGguf(model, path("m.gguf"))).dtype).toBe("F16");
    const parsed = await read(path("m.gguf"));
    expect(parsed.keys["general.file_type"]).toBe(1);
    const values = await halves("model.layers.0.mlp.up_proj.weight");
    const bytes = tensorBytes(path("m.gguf"), parsed, "blk.0.ffn_up.weight");
    expect(bytes.equals(Buffer.from(values.buffer))).toBe(true);
    const norm = floats(tensorBytes(path("m.gguf"), parsed, "output_norm.weight"));
    expect(norm).toEqual(float16ToFloat32(await halves("model.norm.weight")));
    await source.close();
  });

  it("tells heads that are not the width divided by their number", async () => {
    const shape = { vocab_size: 300, hidden_size: 96, intermediate_size: 64, num_hidden_layers: 1 };
    using model = Llama.create({ ...shape, num_attention_heads: 2, head_dim: 32 }, { device: "cpu", seed: 1 });
    await model.save(path("model"));
    writeFileSync(path("model/tokenizer.json"), madeTokenizer());
    await exportGguf(path("model"), path("m.gguf"));
    const { keys } = await read(path("m.gguf"));
    for (const key of ["attention.key_length", "attention.value_length", "rope.dimension_count"]) {
      expect(keys[`llama.${key}`]).toBe(32);
    }
  });

  it("scales the rotary frequencies: linear by keys", async () => {
    await exportGguf(folder("gqa", { rope_scaling: { type: "linear", factor: 2.5 }, rope_theta: 1e4 }), path("m.gguf"));
    const { keys, tensorInfos } = await read(path("m.gguf"));
    expect(keys).toMatchObject({ "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 2.5 });
    expect(tensorInfos.some(({ name }) => name === "rope_freqs.weight")).toBe(false);
  });

  it("scales the rotary frequencies: Llama 3's by a tensor of divisors", async () => {
    const scaling = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };
    const rope_scaling = { rope_type: "llama3", ...scaling };
    await exportGguf(folder("gqa", { rope_scaling, rope_theta: 500000 }), path("m.gguf"));
    const parsed = await read(path("m.gguf"));
    expect(parsed.keys["llama.rope.scaling.type"]).toBeUndefined();
    const info = parsed.tensorInfos.find(({ name }) => name === "rope_freqs.weight")!;
    expect([info.shape.map(Number), GGMLQuantizationType[info.dtype]]).toEqual([[16], "F32"]);
    const divisors = [...floats(tensorBytes(path("m.gguf"), parsed, "rope_freqs.weight"))];
    divisors.forEach((divisor, pair) => {
      const waves = (8192 / (2 * Math.PI)) * 500000 ** (-pair / 16);
      const smooth = Math.min(1, Math.max(0, (waves - 1) / 3));
      expect(divisor * ((1 - smooth) / 8 + smooth)).toBeCloseTo(1, 5);
    });
    expect(divisors).toEqual(expect.arrayContaining([1, 8]));
  });
});

describe("the tokenizer of an export", () => {
  /** The tokenizer's keys of an export, without their prefix. */
  async function keys(tokenizer: string, config: object = {}, tokenizerConfig?: object, generation?: object) {
    const model = folder("gqa", config, tokenizer);
    if (generation) writeFileSync(`${model}/generation_config.json`, JSON.stringify(generation));
    if (tokenizerConfig) writeFileSync(`${model}/tokenizer_config.json`, JSON.stringify(tokenizerConfig));
    await exportGguf(model, path("m.gguf"));
    const entries = Object.entries((await read(path("m.gguf"))).keys);
    return Object.fromEntries(entries.map(([key, value]) => [key.replace("tokenizer.ggml.", ""), value]));
  }

  const split = (Regex: string) => {
    const step = { type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false };
    return { type: "Sequence", pretokenizers: [step, { ...byteLevel, use_regex: false }] };
  };
  /** Llama 3's expression and Qwen 2's differ in the digits alone. */
  const words = (digits: string) => {
    const before = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}`;
    return split(`${before}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`);
  };
  const llama3 = words("\\p{N}{1,3}");
  const digits = { type: "Sequence", pretokenizers: [{ type: "Digits", individual_digits: true }, byteLevel] };

  it.each([
    { pre_tokenizer: byteLevel, ignore_merges: false, pre: "gpt-2" },
    { pre_tokenizer: { type: "Sequence", pretokenizers: [byteLevel] }, ignore_merges: false, pre: "gpt-2" },
    { pre_tokenizer: digits, ignore_merges: false, pre: "smollm" },
    { pre_tokenizer: llama3, ignore_merges: true, pre: "llama-bpe" },
    { pre_tokenizer: llama3, ignore_merges: false, pre: "dbrx" },
    { pre_tokenizer: words("\\p{N}"), ignore_merges: false, pre: "qwen2" },
  ])("splits words by $pre", async ({ pre_tokenizer, ignore_merges, pre }) => {
    expect(await keys(madeTokenizer({ ...small, pre_tokenizer, model: { ignore_merges } }))).toMatchObject({ pre });
  });

  it("marks special and added tokens, and takes merges as older files write them", async () => {
    const begin = { id: 6, content: "<s>", special: true };
    const added_tokens = [endOfText, begin, { id: 7, content: "word", special: false }];
    const model = { merges: ["a b", "Ġ ab"] };
    const found = await keys(madeTokenizer({ ...small, added_tokens, model }));
    expect((found.tokens as string[]).slice(0, 9)).toEqual([
      "<|endoftext|>",
      "a",
      "b",
      "Ġ",
      "ab",
      "Ġab",
      "<s>",
      "word",
      "[PAD8]",
    ]);
    expect((found.token_type as number[]).slice(0, 9)).toEqual([3, 1, 1, 1, 1, 1, 3, 4, 5]);
    expect(found.merges).toEqual(["a b", "Ġ ab"]);
  });

  it("begins and ends a text as the folder says", async () => {
    const content = ["<s>", "</s>", "<|eot|>"];
    const special = content.map((name, index) => ({ id: 6 + index, content: name, special: true }));
    const added_tokens = [endOfText, ...special];
    const tokenizer = madeTokenizer({ ...small, added_tokens });
    const ids = { bos_token_id: 6, eos_token_id: [7, 8] };
    const found = await keys(tokenizer, ids);
    expect(found).toMatchObject({ bos_token_id: 6, eos_token_id: 7, eot_token_id: 8, add_bos_token: false });
    const named = { bos_token: { content: "<s>" }, eos_token: "<|eot|>", pad_token: "<s>" };
    const expected = { bos_token_id: 6, eos_token_id: 8, eot_token_id: 7, add_bos_token: false, padding_token_id: 6 };
    expect(await keys(tokenizer, { ...ids, bos_token_id: 1 }, named)).toMatchObject(expected);
    const single = [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }];
    const special_tokens = { "<s>": { id: "<s>", ids: [6], tokens: ["<s>"] } };
    const template = { type: "TemplateProcessing", single, pair: single, special_tokens };
    const post_processor = { type: "Sequence", processors: [{ ...byteLevel }, template] };
    const withTemplate = madeTokenizer({ ...small, added_tokens, post_processor });
    expect(await keys(withTemplate, ids)).toMatchObject({ bos_token_id: 6, add_bos_token: true });
    const endingWith = (name: string) => {
      const tokens = { [name]: { id: name, ids: [6 + content.indexOf(name)], tokens: [name] } };
      const processor = { ...template, single: [single[1], { SpecialToken: { id: name, type_id: 0 } }] };
      return madeTokenizer({ ...small, added_tokens, post_processor: { ...processor, special_tokens: tokens } });
    };
    expect(await keys(endingWith("</s>"), ids)).toMatchObject({
      bos_token_id: 6,
      add_bos_token: false,
      add_eos_token: true,
    });
    await expect(keys(endingWith("<|eot|>"), ids)).rejects.toThrow(
      /post_processor: expected at most a token before .* and after it <\/s> or nothing, .* nothing before it and <\|eot\|> /,
    );
    const generation = { eos_token_id: 8 };
    expect(await keys(tokenizer, ids, {}, generation)).toMatchObject({ eos_token_id: 8 });
    const none = { bos_token_id: null, eos_token_id: null };
    const fallback = { bos_token_id: 0, eos_token_id: 0, add_bos_token: false, add_eos_token: false };
    expect(await keys(madeTokenizer(small), none, {})).toMatchObject(fallback);
  });

  it.each([
    { parts: { pre_tokenizer: { ...byteLevel, add_prefix_space: true } }, says: /pre_tok.*prefix_space":true/ },
    { parts: { pre_tokenizer: null }, says: /pre_tokenizer: expected .* received null/ },
    { parts: { pre_tokenizer: { type: "Whitespace" } }, says: /pre_tokenizer: expected .*Whitespace/ },
    { parts: { pre_tokenizer: split("\\w+") }, says: /pre_tokenizer: expected .*\\w\+/ },
    { parts: { pre_tokenizer: split("a"), model: { ignore_merges: true } }, says: /with model\.ignore_merges/ },
    { parts: { model: { ignore_merges: true } }, says: /with model\.ignore_merges: expected .*ByteLevel/ },
    {
      parts: { model: { byte_fallback: true } },
      says: /pre_tokenizer: expected none for a vocabulary with byte fallback/,
    },
    { parts: { normalizer: { type: "NFC" } }, says: /normalizer: expected .* received {"type":"NFC"}/ },
    { parts: { model: { type: "WordLevel", unk_token: "a" } }, says: /model\.type: expected .* received "WordLevel"/ },
  ])("is refused where llama.cpp has none that is the same: $says", async ({ parts, says }) => {
    const refused = exportGguf(folder("gqa", {}, madeTokenizer({ ...small, ...parts })), path("m.gguf"));
    await expect(refused).rejects.toThrow(CheckpointError);
    await expect(refused).rejects.toThrow(says);
    expect(readdirSync(path())).toEqual(["model"]);
  });

  describe("with byte fallback", () => {
    const source = new URL("../fixtures/prompts/llama2/", import.meta.url);
    const json = JSON.parse(readFileSync(new URL("tokenizer.json", source), "utf8")) as {
      model: { merges: [string, string][]; vocab: Record<string, number> };
    };
    const exported = async (changes: object, model: object = {}) => {
      cpSync(fileURLToPath(source), path("model"), { recursive: true });
      const changed = { ...json, ...changes, model: { ...json.model, ...model } };
      writeFileSync(path("model/tokenizer.json"), JSON.stringify(changed));
      await exportGguf(path("model"), path("m.gguf"));
      const entries = Object.entries((await read(path("m.gguf"))).keys);
      return Object.fromEntries(entries.map(([key, value]) => [key.replace("tokenizer.ggml.", ""), value]));
    };

    it("is SentencePiece's: scores instead of merges", async () => {
      const found = await exported({});
      const size = Object.keys(json.model.vocab).length + 5;
      expect(found).toMatchObject({
        model: "llama",
        pre: "default",
        add_space_prefix: true,
        bos_token_id: 1,
        eos_token_id: 2,
      });
      expect(found).toMatchObject({ add_bos_token: true, add_eos_token: false });
      expect(found).not.toHaveProperty("merges");
      const [tokens, scores, types] = [found.tokens, found.scores, found.token_type] as [string[], number[], number[]];
      expect([tokens.length, scores.length, types.length]).toEqual([size, size, size]);
      expect(types.slice(0, 5)).toEqual([2, 3, 3, 6, 6]);
      expect(tokens.slice(3, 5)).toEqual(["<0x00>", "<0x01>"]);
      const [first] = json.model.merges;
      expect(scores[tokens.indexOf(first!.join(""))]).toBe(0);
      const order = json.model.merges.map((pair) => scores[tokens.indexOf(pair.join(""))]!);
      expect(order).toEqual([...order].sort((a, b) => b - a));
      expect(Math.min(...scores)).toBe(scores[0]);
    });

    it("is refused where llama.cpp would give other ids", async () => {
      const { merges } = json.model;
      const divided = merges.findIndex(([left, right], i) => i > 0 && left + right === merges[i - 1]!.join(""));
      const refused = (says: RegExp, changes: object, model?: object) =>
        expect(exported(changes, model)).rejects.toThrow(says);
      await refused(/normalizer: expected one that puts ▁ before a text and for each blank .* but received null$/, {
        normalizer: null,
      });
      await refused(/pre_tokenizer: expected none .* but received .*Metaspace/, {
        pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false },
      });
      await refused(
        /model\.merges: expected a merge for every division .* but received none for /,
        {},
        { merges: merges.filter((_, i) => i !== divided) },
      );
      const apart = [...merges.filter((_, i) => i !== divided), merges[divided]!];
      await refused(
        /model\.merges: expected the merges of a token together, .* but received those of .* apart$/,
        {},
        { merges: apart },
      );
    });
  });

  it("is refused where it does not fit the model, or is none", async () => {
    const out = path("m.gguf");
    const large = exportGguf(folder("gqa", {}, madeTokenizer()), out);
    await expect(large).rejects.toThrow(/expected at most the model's 101 tokens but received 257$/);
    const outside = exportGguf(folder("gqa", { bos_token_id: 101 }), out);
    await expect(outside).rejects.toThrow(/expected ids below 101 but received 101/);
    await expect(exportGguf(folder("gqa", {}, "{}"), out)).rejects.toThrow(DataError);
    const model = folder("gqa");
    writeFileSync(`${model}/tokenizer_config.json`, "{");
    await expect(exportGguf(model, out)).rejects.toThrow(
      /tokenizer_config\.json: expected JSON but received other text: /,
    );
  });
});

describe("the file of an export", () => {
  it("replaces an earlier export, behind a link too, and nothing else", async () => {
    const model = folder("gqa");
    const { bytes } = await exportGguf(model, path("a/b/link.gguf"));
    writeFileSync(path("old.gguf"), "GGUF of yore");
    symlinkSync("old.gguf", path("link.gguf"));
    await exportGguf(model, path("link.gguf"));
    expect(readFileSync(path("old.gguf")).byteLength).toBe(bytes);
    writeFileSync(path("notes.txt"), "mine");
    mkdirSync(path("folder"));
    for (const [name, says] of [
      ["notes.txt", /notes\.txt: expected a new file, .* but received another file$/],
      ["folder", /folder: expected a new file, .* but received a folder/],
      ["notes.txt/m.gguf", /expected a new file, .* cannot be used: ENOTDIR/],
    ] as const) {
      const refused = exportGguf(model, path(name));
      await expect(refused).rejects.toThrow(ConfigError);
      await expect(refused).rejects.toThrow(says);
    }
    expect(readFileSync(path("notes.txt"), "utf8")).toBe("mine");
    expect(readdirSync(path()).sort()).toEqual(["a", "folder", "link.gguf", "model", "notes.txt", "old.gguf"]);
  });

  it("is as it was where an export fails or is ended", async () => {
    const model = folder("gqa");
    writeFileSync(path("m.gguf"), "GGUF of yore");
    const controller = new AbortController();
    const ended = exportGguf(model, path("m.gguf"), {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error("enough")),
    });
    await expect(ended).rejects.toThrow("enough");
    const deeper = exportGguf(folder("gqa", { num_hidden_layers: 3 }), path("m.gguf"));
    await expect(deeper).rejects.toThrow(/expected a tensor "model\.layers\.2/);
    expect(readFileSync(path("m.gguf"), "utf8")).toBe("GGUF of yore");
    expect(readdirSync(path()).sort()).toEqual(["m.gguf", "model"]);
  });

  it("is not begun without a model folder", async () => {
    const missing = `${path("none")}: expected a model folder but received a folder that does not exist`;
    await expect(exportGguf(path("none"), path("m.gguf"))).rejects.toThrow(new CheckpointError(missing));
    await expect(exportGguf(path("none"), path("m.gguf"))).rejects.toBeInstanceOf(CheckpointError);
    expect(readdirSync(path())).toEqual([]);
  });
});
