import { mkdtempSync, rmSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { CheckpointError } from "../../lib/errors.js";
import { CheckpointTensors } from "../../lib/hf/checkpoint_tensors.js";
import { type SafetensorsEntry, SafetensorsFile, writeSafetensors } from "../../lib/hf/safetensors.js";
import { tensorBytesOf } from "../support/tensors.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nextpatch-safetensors-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A file of a header's length, the header as it is given, and `dataBytes` zeros. */
async function craft(header: string | Uint8Array, dataBytes: number, length?: bigint): Promise<string> {
  const path = join(folder, "crafted.safetensors");
  const body = Buffer.from(header as string);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(body.byteLength));
  await writeFile(path, Buffer.concat([prefix, body, Buffer.alloc(dataBytes)]));
  return path;
}

const tensor = (begin: number, end: number, shape: unknown = [(end - begin) / 4], dtype: unknown = "F32") => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

async function openError(path: string): Promise<string> {
  const error = await SafetensorsFile.open(path).then(
    async (file) => file.close().then(() => undefined),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CheckpointError);
  const { message } = error as CheckpointError;
  expect(message).toContain(path);
  return message;
}

describe("a malformed file is told by its fault", () => {
  const cases: [string, unknown, number, RegExp][] = [
    [
      "a hole",
      { a: tensor(0, 8), b: tensor(12, 16) },
      16,
      /"b": expected it to begin at byte 8 but received 12: it leaves a hole/,
    ],
    [
      "a hole at the start",
      { a: tensor(4, 8) },
      8,
      /"a": expected it to begin at byte 0 but received 4: it leaves a hole/,
    ],
    ["an overlap", { a: tensor(0, 8), b: tensor(4, 12) }, 12, /"b": .* byte 8 but received 4: it leaves an overlap/],
    [
      "bytes short",
      { a: tensor(0, 8) },
      7,
      /expected 8 bytes of tensors after the header but received 7: the file is cut short/,
    ],
    ["bytes left over", { a: tensor(0, 8) }, 9, /expected 8 bytes .* but received 9: no tensor covers/],
    ["an unknown dtype", { a: tensor(0, 8, [2], "F33") }, 8, /"a": dtype: expected a known .* but received "F33"/],
    ["a dtype named like a method", { a: tensor(0, 8, [2], "toString") }, 8, /dtype: .*but received "toString"/],
    [
      "a size unlike the shape",
      { a: tensor(0, 8, [3]) },
      8,
      /"a": data_offsets: expected 12 bytes for F32 \[3\] but received 8/,
    ],
    [
      "a negative size",
      { a: tensor(0, 8, [-2]) },
      8,
      /"a": shape: expected a list of integers >= 0 but received \[-2\]/,
    ],
    [
      "a product that overflows",
      { a: tensor(0, 8, [2 ** 40, 2 ** 40]) },
      8,
      /"a": shape: expected a size in whole bytes/,
    ],
    ["half a byte", { a: tensor(0, 2, [3], "F4") }, 2, /"a": shape: expected a size in whole bytes for F4/],
    ["offsets backwards", { a: tensor(8, 0, [2]) }, 8, /"a": data_offsets: expected begin <= end but received \[8,0\]/],
    [
      "no offsets",
      { a: { dtype: "F32", shape: [2] } },
      8,
      /"a": data_offsets: expected \[begin, end\] but received nothing/,
    ],
    ["an entry that is no object", { a: 3 }, 0, /"a": entry: expected an object .* but received 3/],
    ["metadata of numbers", { __metadata__: { step: 3 } }, 0, /__metadata__: expected an object of strings/],
  ];
  it.each(cases)("%s", async (_, header, dataBytes, message) => {
    expect(await openError(await craft(JSON.stringify(header), dataBytes))).toMatch(message);
  });

  it.each<[string, string, RegExp]>([
    [
      "a tensor twice",
      `{"a":${JSON.stringify(tensor(0, 8))},"a":${JSON.stringify(tensor(0, 8))}}`,
      /header: expected each key once but received "a" twice/,
    ],
    [
      "the same key, spelled by an escape",
      `{"a":${JSON.stringify(tensor(0, 8))},"\\u0061": 1}`,
      /header: expected each key once but received "a" twice/,
    ],
    [
      "a key twice inside a tensor",
      '{"a":{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]}}',
      /"dtype" twice/,
    ],
    ["no JSON", "{nonsense", /header: expected JSON but received other text: /],
    ["a list", "[1, 2]", /begins with "{", but received "\[1, 2\]"/],
    ["space before the object", ' {"a":1}', /begins with "{", but received " {/],
  ])("%s", async (_, header, message) => {
    expect(await openError(await craft(header, 8))).toMatch(message);
  });

  it("header lengths: too long, beyond the file, no room for one; text that is no UTF-8; no file", async () => {
    expect(await openError(await craft("{}", 0, 100_000_001n))).toMatch(
      /at most 100000000 bytes but received 100000001/,
    );
    expect(await openError(await craft("{}", 0, 2n ** 63n))).toMatch(
      /at most 100000000 bytes but received 9223372036854775808/,
    );
    expect(await openError(await craft("{}", 0, 3n))).toMatch(
      /expected 11 bytes of header but received a file of 10: it is cut short/,
    );
    expect(await openError(await craft(Uint8Array.of(0x7b, 0xff, 0x7d), 0))).toMatch(
      /header: expected UTF-8 text but received other bytes/,
    );
    const path = join(folder, "short.safetensors");
    await writeFile(path, "1234567");
    expect(await openError(path)).toMatch(/at least the 8 bytes of the header's length but received 7/);
    expect(await openError(join(folder, "absent.safetensors"))).toMatch(
      /expected a safetensors file but received a file that does not exist$/,
    );
  });
});

describe("reading", () => {
  it("keys in any order, empty tensors, scalars and repeated keys in different tensors are all right", async () => {
    const header = { late: tensor(4, 12), scalar: tensor(0, 4, []), empty: tensor(4, 4, [0, 7]) };
    const file = await SafetensorsFile.open(await craft(`${JSON.stringify(header)}   `, 12));
    expect(file.names()).toEqual(["scalar", "empty", "late"]);
    expect(file.info("empty")).toEqual({ dtype: "F32", shape: [0, 7] });
    expect((await tensorBytesOf(file, "empty")).byteLength).toBe(0);
    await expect(file.readInto("late", 1, new Uint8Array(12))).rejects.toThrow(
      /"late": expected a range within its 8 bytes but received 1 to 13/,
    );
    await expect(tensorBytesOf(file, "absent")).rejects.toThrow(
      /expected a tensor "absent" but received a file without it/,
    );
    await file.close();
  });

  it("tells a file that shrank after it was opened", async () => {
    const path = await craft(JSON.stringify({ a: tensor(0, 8) }), 8);
    const file = await SafetensorsFile.open(path);
    await writeFile(path, (await readFile(path)).subarray(0, -3));
    await expect(tensorBytesOf(file, "a")).rejects.toThrow(/expected 8 bytes at byte \d+ but received 5/);
    await file.close();
  });
});

const entry = (name: string, dtype: SafetensorsEntry["dtype"], shape: number[], data: ArrayBufferView) => ({
  name,
  dtype,
  shape,
  data: () => [new Uint8Array(data.buffer, data.byteOffset, data.byteLength)],
});

describe("writing", () => {
  it("what is written is read back, tensors aligned to their elements", async () => {
    const path = join(folder, "written.safetensors");
    const entries = [
      entry("bytes", "U8", [3], Uint8Array.of(1, 2, 3)),
      entry("half", "BF16", [1, 2], Uint16Array.of(0x3f80, 0x4000)),
      entry('matrix "ü"', "F32", [2, 3], Float32Array.of(1, -2, 3.5, 0, 5, 6)),
      entry("long", "I64", [], BigInt64Array.of(-7n)),
    ];
    await writeSafetensors(path, entries, { format: "pt", step: "3" });
    const raw = await readFile(path);
    const headerBytes = Number(raw.readBigUInt64LE(0));
    expect(headerBytes % 8).toBe(0);
    const header = JSON.parse(raw.toString("utf8", 8, 8 + headerBytes)) as Record<string, unknown>;
    expect(header.__metadata__).toEqual({ format: "pt", step: "3" });
    const file = await SafetensorsFile.open(path);
    expect(file.names()).toEqual(["long", 'matrix "ü"', "half", "bytes"]);
    for (const { name, dtype, shape, data } of entries) {
      expect(file.info(name)).toEqual({ dtype, shape });
      expect(await tensorBytesOf(file, name)).toEqual(data()[0]);
    }
    await file.close();
  });

  it("a wrong size or a name twice is told, and leaves no file", async () => {
    const path = join(folder, "failed.safetensors");
    const short = entry("a", "F32", [2, 2], new Float32Array(3));
    await expect(writeSafetensors(path, [short])).rejects.toThrow(
      /"a": expected 16 bytes for F32 \[2, 2\] but received 12/,
    );
    const good = entry("a", "F32", [3], new Float32Array(3));
    await expect(writeSafetensors(path, [good, good])).rejects.toThrow(/"a": expected each name once/);
    const reserved = entry("__metadata__", "F32", [3], new Float32Array(3));
    await expect(writeSafetensors(path, [reserved])).rejects.toThrow(CheckpointError);
    expect(await readdir(folder)).not.toContain("failed.safetensors");
  });

  it("asks for one tensor's data at a time", async () => {
    let pending = 0;
    const lazy = (name: string): SafetensorsEntry => ({
      name,
      dtype: "U8",
      shape: [4],
      data: async function* () {
        pending += 1;
        await new Promise((resolve) => setTimeout(resolve, 1));
        expect(pending).toBe(1);
        for (const half of [2, 2]) yield new Uint8Array(half);
        pending -= 1;
      },
    });
    await writeSafetensors(join(folder, "lazy.safetensors"), ["a", "b", "c"].map(lazy));
    expect.assertions(3);
  });
});

describe("a model folder", () => {
  const model = (name: string) => join(folder, name);

  it("is read from several files by their index, or told what is missing", async () => {
    await writeSafetensors(model("model-1.safetensors"), [entry("a", "F32", [1], Float32Array.of(1))]);
    await writeSafetensors(model("model-2.safetensors"), [entry("b", "F32", [1], Float32Array.of(2))]);
    const index = (weight_map: unknown) =>
      writeFile(model("model.safetensors.index.json"), JSON.stringify({ weight_map }));

    await expect(CheckpointTensors.open(folder)).rejects.toThrow(
      /model.safetensors or .*index.json but received neither/,
    );
    await index({ b: "model-2.safetensors", a: "model-1.safetensors" });
    const tensors = await CheckpointTensors.open(folder);
    expect(tensors.names()).toEqual(["b", "a"]);
    expect(new Float32Array((await tensorBytesOf(tensors, "b")).buffer)).toEqual(Float32Array.of(2));
    expect(() => tensors.info("c")).toThrow(/expected a tensor "c" but received a model without it/);
    await tensors.close();

    await index({ a: "model-2.safetensors" });
    await expect(CheckpointTensors.open(folder)).rejects.toThrow(/expected tensor "a" in model-2.safetensors/);
    await index({ a: "../model-1.safetensors" });
    await expect(CheckpointTensors.open(folder)).rejects.toThrow(/weight_map\["a"\]: expected the name of a file/);
    await index([]);
    await expect(CheckpointTensors.open(folder)).rejects.toThrow(/weight_map: expected an object/);
  });

  it("is read from its single file where there is one", async () => {
    await writeSafetensors(model("model.safetensors"), [entry("only", "F32", [1], Float32Array.of(9))]);
    const tensors = await CheckpointTensors.open(folder);
    expect(tensors.names()).toEqual(["only"]);
    expect(tensors.info("only")).toEqual({ dtype: "F32", shape: [1] });
    await tensors.close();
  });
});
