/** Hugging Face folders in another element type, and in several files. */
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { ConfigError } from "../../lib/errors.js";
import { CheckpointTensors } from "../../lib/hf/checkpoint_tensors.js";
import { type ExportHfOptions, exportHf } from "../../lib/hf/export.js";
import { float16ToFloat32 } from "../../lib/hf/float_types.js";
import type { SafetensorsEntry } from "../../lib/hf/safetensors.js";
import { PIECE_BYTES, tensorPieces } from "../../lib/hf/tensor_pieces.js";
import { shardsOf, writeWeights } from "../../lib/hf/weight_files.js";
import { Llama } from "../../lib/nn/llama.js";
import { temporaryFolder } from "../support/temporary.js";
import { tensorBytesOf } from "../support/tensors.js";

const path = temporaryFolder();
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/hf/${name}`, import.meta.url));
const json = (file: string) => JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;

/** A fixture's copy with keys and files of its own. */
function model(name: string): string {
  cpSync(fixture(name), path("model"), { recursive: true });
  const config = { ...json(path("model/config.json")), torch_dtype: "float32", mark: { kept: [1, "ü"] } };
  writeFileSync(path("model/config.json"), JSON.stringify(config));
  for (const file of ["tokenizer.json", "chat_template.jinja", "generation_config.json"]) {
    writeFileSync(path(`model/${file}`), `{"of": "${file}"}`);
  }
  writeFileSync(path("model/notes.txt"), "not the model's");
  return path("model");
}

/** The value of every bf16 and of every half, by its bits. */
const decoded = {
  bf16: new Float32Array(Uint32Array.from({ length: 2 ** 16 }, (_, bits) => bits << 16).buffer),
  f16: float16ToFloat32(Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits)),
};

describe.each(["bf16", "f16"] as const)("an export in %s", (dtype) => {
  it("has each weight's nearest value, the even one of two, and everything else as it was", async () => {
    const told: number[][] = [];
    const onProgress = (...now: number[]) => void told.push(now);
    const result = await exportHf(model("gqa"), path("out"), { dtype, onProgress });
    const [before, after] = [await CheckpointTensors.open(path("model")), await CheckpointTensors.open(path("out"))];
    expect([...after.names()].sort()).toEqual([...before.names()].sort());
    for (const name of before.names()) {
      expect(after.info(name)).toEqual({ dtype: dtype.toUpperCase(), shape: before.info(name).shape });
      const exact = new Float32Array((await tensorBytesOf(before, name)).buffer);
      const bits = new Uint16Array((await tensorBytesOf(after, name)).buffer);
      expect(bits).toHaveLength(exact.length);
      for (const [at, value] of exact.entries()) {
        const miss = (neighbour: number) => Math.abs(decoded[dtype][neighbour]! - value);
        const own = bits[at]!;
        // Neighbours in magnitude; below 0 is the other sign's.
        for (const other of [own - 1, own + 1].filter((n) => (n & 0x7fff) !== 0x7fff)) {
          if (miss(other) < miss(own) || (miss(other) === miss(own) && own % 2 === 1 && value !== 0)) {
            throw new Error(
              `${name}[${at}]: ${value} became ${decoded[dtype][own]}, ${decoded[dtype][other]} is nearer`,
            );
          }
        }
      }
    }
    const name = dtype === "bf16" ? "bfloat16" : "float16";
    expect(json(path("out/config.json"))).toEqual({
      ...json(path("model/config.json")),
      dtype: name,
      torch_dtype: name,
    });
    for (const file of ["tokenizer.json", "chat_template.jinja", "generation_config.json"]) {
      expect(readFileSync(path(`out/${file}`))).toEqual(readFileSync(path(`model/${file}`)));
    }
    expect(readdirSync(path("out"))).not.toContain("notes.txt");
    expect(result).toMatchObject({ folder: path("out"), tensors: before.names().length, unasked: [] });
    expect(result.bytes).toBe(readFileSync(path("out/model.safetensors")).byteLength);
    expect(told.at(-1)).toEqual([2 * result.parameters, 2 * result.parameters]);
    await Promise.all([before.close(), after.close()]);
  });
});

describe("an export", () => {
  it("widens exactly, and keeps the element type unless told otherwise", async () => {
    await exportHf(model("bf16"), path("wide"), { dtype: "f32" });
    await exportHf(path("wide"), path("again"), { dtype: "bf16" });
    await exportHf(path("again"), path("kept"));
    const weights = (folder: string) => readFileSync(path(`${folder}/model.safetensors`));
    expect(weights("kept")).toEqual(weights("again"));
    const [original, again] = [
      await CheckpointTensors.open(path("model")),
      await CheckpointTensors.open(path("again")),
    ];
    for (const name of original.names()) {
      expect(await tensorBytesOf(again, name)).toEqual(await tensorBytesOf(original, name));
    }
    await Promise.all([original.close(), again.close()]);
    expect(json(path("wide/config.json"))).toMatchObject({ dtype: "float32", torch_dtype: "float32" });
    expect(json(path("kept/config.json"))).toEqual(json(path("again/config.json")));
  });

  it("is cut into files with an index, loads as before, and replaces what was there", async () => {
    await exportHf(model("gqa"), path("cut"));
    const { bytes } = await exportHf(path("model"), path("cut"), { maxShardBytes: 40_000 });
    const files = readdirSync(path("cut")).filter((name) => name.startsWith("model"));
    const index = json(path("cut/model.safetensors.index.json")) as {
      metadata: { total_size: number };
      weight_map: Record<string, string>;
    };
    const shards = [...new Set(Object.values(index.weight_map))].sort();
    expect(shards.length).toBeGreaterThan(2);
    const of = String(shards.length).padStart(5, "0");
    expect(shards).toEqual(shards.map((_, at) => `model-${String(at + 1).padStart(5, "0")}-of-${of}.safetensors`));
    expect(files.sort()).toEqual([...shards, "model.safetensors.index.json"].sort());
    using single = await Llama.load(path("model"), { device: "cpu", precision: "fp32" });
    using several = await Llama.load(path("cut"), { device: "cpu", precision: "fp32" });
    expect(await several.parameters.master.read()).toEqual(await single.parameters.master.read());
    expect(index.metadata).toEqual({ total_size: 4 * single.parameterCount });
    expect(bytes).toBe(files.reduce((sum, name) => sum + readFileSync(path(`cut/${name}`)).byteLength, 0));
    await exportHf(path("model"), path("cut"));
    expect(readdirSync(path("cut")).filter((name) => name.startsWith("model"))).toEqual(["model.safetensors"]);
  });

  it("is not written over anything else, nor over the model itself", async () => {
    const folder = model("tied");
    const refused = async (out: string, says: RegExp) => {
      const error: unknown = await exportHf(folder, out).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ConfigError);
      expect((error as Error).message).toMatch(says);
    };
    await refused(folder, /model: expected a new folder, .* but received the folder of the model itself$/);
    await refused(path("model/notes.txt"), /notes\.txt: expected a new folder, .* but received a file or a device$/);
    mkdirSync(path("home"));
    writeFileSync(path("home/letters.txt"), "");
    await refused(path("home"), /home: expected a new folder, .* but received a folder that holds letters\.txt$/);
    expect(readdirSync(path("home"))).toEqual(["letters.txt"]);
    symlinkSync("nowhere", path("dangling"));
    await refused(path("dangling"), /but received a link to something that does not exist$/);
    await expect(exportHf(folder, "")).rejects.toThrow('exportHf: out: expected a path but received the string ""');
  });

  it("fills a folder that exists, which may be a mount point, the current folder or behind a link", async () => {
    mkdirSync(path("real/.export"), { recursive: true });
    writeFileSync(path("real/.export/left"), "by a process that was killed");
    symlinkSync("real", path("link"));
    const { ino } = statSync(path("real"));
    await exportHf(model("gqa"), path("link"), { maxShardBytes: 20_000 });
    const files = readdirSync(path("real"));
    await exportHf(model("gqa"), path("link"));
    expect(statSync(path("link")).ino).toBe(ino);
    expect(files).toContain("model.safetensors.index.json");
    expect(readdirSync(path("real"))).toEqual([
      "chat_template.jinja",
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "tokenizer.json",
    ]);
    (await Llama.load(path("link"), { device: "cpu", precision: "fp32" })).dispose();

    const ended = new AbortController();
    const onProgress = () => ended.abort(new Error("enough"));
    const again = exportHf(model("gqa"), path("link"), { onProgress, signal: ended.signal });
    await expect(again).rejects.toThrow("enough");
    expect(readdirSync(path("real"))).toHaveLength(5);
  });

  it("leaves nothing behind when it is ended", async () => {
    const controller = new AbortController();
    const onProgress = () => controller.abort(new Error("enough"));
    await expect(exportHf(model("tied"), path("ended/out"), { onProgress, signal: controller.signal })).rejects.toThrow(
      "enough",
    );
    expect(readdirSync(path("ended"))).toEqual([]);
  });

  it.each([
    [{ dtype: "q8_0" }, 'exportHf: dtype: expected f32, f16 or bf16 but received "q8_0"'],
    [{ maxShardBytes: 0.5 }, "exportHf: maxShardBytes: expected a whole number of at least 1 but received 0.5"],
  ])("is not made with %j", async (options, says) => {
    await expect(exportHf(fixture("tied"), path("none"), options as ExportHfOptions)).rejects.toThrow(says);
  });
});

describe("files of weights", () => {
  const entry = (name: string, bytes: number): SafetensorsEntry => {
    return { name, dtype: "U8", shape: [bytes], data: () => [new Uint8Array(bytes)] };
  };
  const names = (sizes: readonly number[], most: number) =>
    shardsOf(
      sizes.map((size, at) => entry(`${at}:${size}`, size)),
      most,
    ).map((shard) => shard.map(({ name }) => Number(name.split(":")[1])));

  it("are filled in order, as huggingface_hub fills them", () => {
    expect(names([6, 6, 2, 6, 2, 2], 10)).toEqual([[6], [6, 2], [6, 2, 2]]);
    // Its split_state_dict_into_shards_factory puts a large tensor before the file that is being filled.
    expect(names([4, 30, 4, 4], 10)).toEqual([[30], [4, 4], [4]]);
    expect(names([10, 1], 10)).toEqual([[10], [1]]);
    expect(names([5, 5], 10)).toEqual([[5, 5]]);
  });

  it("take the place of those that were there", async () => {
    mkdirSync(path("w"));
    const entries = [entry("a", 8), entry("b", 8)];
    await writeWeights(path("w"), entries, 8);
    await writeWeights(path("w"), entries);
    expect(readdirSync(path("w"))).toEqual(["model.safetensors"]);
    await writeWeights(path("w"), entries, 8);
    expect(readdirSync(path("w")).sort()).toEqual([
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
    ]);
  });
});

describe("pieces of a tensor", () => {
  it("are whole units, at most so many bytes, and all of it", async () => {
    const size = 3000 * Math.ceil((2 * PIECE_BYTES) / 3000);
    const source = {
      info: () => ({ dtype: "U8" as const, shape: [size] }),
      readInto: async (_: string, offset: number, out: Uint8Array) => {
        for (let i = 0; i < out.length; i += 997) out[i] = (offset + i) % 251;
      },
    };
    let end = 0;
    for await (const { offset, bytes } of tensorPieces(source, "t", 3000)) {
      expect(offset).toBe(end);
      expect(bytes.byteLength % 3000).toBe(0);
      expect(bytes.byteLength).toBeLessThanOrEqual(PIECE_BYTES);
      expect(bytes[997]).toBe((offset + 997) % 251);
      end += bytes.byteLength;
    }
    expect(end).toBe(size);
  });
});
