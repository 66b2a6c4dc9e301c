/** GGUF files of every architecture, read back with Hugging Face's reader; test/llama.cpp runs them in llama.cpp. */
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gguf } from "@huggingface/gguf";
import { describe, expect, it } from "@jest/globals";
import { ConfigError } from "../../lib/errors.js";
import { exportGguf } from "../../lib/gguf/export.js";
import { readModelConfig } from "../../lib/hf/model_config.js";
import { parameterTable } from "../../lib/hf/names.js";
import { madeTokenizer } from "../support/made_tokenizer.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const root = fileURLToPath(new URL("../fixtures/architectures", import.meta.url));

/** A variant's copy, with a tokenizer and other keys in its config.json. */
function folder(variant: string, keys: object = {}): string {
  cpSync(`${root}/${variant}`, path(variant), { recursive: true });
  const file = path(`${variant}/config.json`);
  const config = JSON.parse(readFileSync(file, "utf8")) as object;
  writeFileSync(file, JSON.stringify({ ...config, ...keys }));
  writeFileSync(path(`${variant}/tokenizer.json`), madeTokenizer({ characters: ["a", "b"], merges: [["a", "b"]] }));
  return path(variant);
}

/** What llama.cpp computes otherwise, so that it cannot be exported. */
const refused: Readonly<Record<string, RegExp>> = {
  llama_yarn: /rope_scaling: yarn with the paper's settings/,
  qwen3_biases: /attention_bias: false/,
  smollm3: /mlp_bias: false/,
  smollm3_window: /no_rope_layers: every fourth/,
  olmo2_biases: /attention_bias: false/,
  gemma3: /layer_types: sliding_attention in all but every sixth layer; query_pre_attn_scalar: head_dim/,
};

describe("the export of every architecture", () => {
  const exported = readdirSync(root).filter((variant) => !(variant in refused));

  it.each(exported)("%s: all tensors under llama.cpp's names", async (variant) => {
    const model = folder(variant);
    const config = await readModelConfig(model);
    await exportGguf(model, path(`${variant}.gguf`));
    const { metadata, tensorInfos } = await gguf(path(`${variant}.gguf`), { allowLocalFile: true });
    const architecture = metadata["general.architecture"] as string;
    const key = (name: string) => (metadata as unknown as Record<string, unknown>)[`${architecture}.${name}`];
    expect(architecture).toBe({ mistral: "llama" }[config.model_type as string] ?? config.model_type);
    expect(key("block_count")).toBe(config.num_hidden_layers);
    expect(key("context_length")).toBe(config.sliding_window ?? config.max_position_embeddings);
    const extra = { llama_longrope: 2 }[variant] ?? 0;
    expect(tensorInfos.length).toBe(parameterTable(config).length + extra);
    expect(tensorInfos.filter(({ name }) => name.includes("undefined"))).toEqual([]);
    expect(new Set(tensorInfos.map(({ name }) => name)).size).toBe(tensorInfos.length);
  });

  it.each(Object.entries(refused))(
    "%s is refused, naming what llama.cpp computes otherwise",
    async (variant, problem) => {
      const exporting = exportGguf(folder(variant), path("refused.gguf"));
      await expect(exporting).rejects.toThrow(problem);
      await expect(exporting).rejects.toBeInstanceOf(ConfigError);
    },
  );

  it("adds 1 to the norms of Gemma 3, which it keeps as their distance from it", async () => {
    const six = { layer_types: null, query_pre_attn_scalar: 32, _sliding_window_pattern: 6 };
    const model = folder("gemma3", { ...six, layer_types: Array(3).fill("sliding_attention") });
    await exportGguf(model, path("gemma.gguf"));
    const { metadata, tensorInfos, tensorDataOffset } = await gguf(path("gemma.gguf"), { allowLocalFile: true });
    expect((metadata as unknown as Record<string, unknown>)["gemma3.attention.sliding_window"]).toBe(4);
    const bytes = readFileSync(path("gemma.gguf"));
    const norm = tensorInfos.find(({ name }) => name === "blk.0.attn_q_norm.weight")!;
    const begin = Number(tensorDataOffset + norm.offset);
    const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset + begin, bytes.byteOffset + begin + 128));
    const mean = values.reduce((a, b) => a + b) / values.length;
    expect(Math.abs(mean - 1)).toBeLessThan(0.2);
  });
});
