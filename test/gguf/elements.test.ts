/** Element types of an export: fp16, bf16 and Q8_0 of what the checkpoint has. */
import { readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { GGMLQuantizationType, gguf } from "@huggingface/gguf";
import { describe, expect, it } from "@jest/globals";
import { convertElements } from "../../lib/gguf/elements.js";
import { exportGguf, type GgufDtype } from "../../lib/gguf/export.js";
import { float16ToFloat32, toFloats, toHalf } from "../../lib/hf/float_types.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const bytesOf = (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

describe("halves", () => {
  it("are the bits that every half has itself", () => {
    const finite = Uint16Array.from({ length: 0x7c01 }, (_, bits) => bits);
    for (const sign of [0, 0x8000]) {
      const bits = finite.map((half) => half | sign);
      expect(Uint16Array.from(float16ToFloat32(bits), toHalf)).toEqual(bits);
    }
    expect(toHalf(Number.NaN) & 0x7fff).toBe(0x7e00);
  });

  it("are the nearest, ties to even", () => {
    const halves = float16ToFloat32(Uint16Array.from({ length: 0x7c01 }, (_, bits) => bits));
    for (let bits = 0; bits < 0x7bff; bits++) {
      const [low, high] = [halves[bits]!, halves[bits + 1]!];
      const middle = (low + high) / 2;
      expect(toHalf(middle)).toBe(bits % 2 === 0 ? bits : bits + 1);
      const above = Math.fround(middle * (1 + 2 ** -22));
      if (above > middle && above < high) expect(toHalf(above)).toBe(bits + 1);
    }
    expect(toHalf(65519)).toBe(0x7bff);
    expect(toHalf(65520)).toBe(0x7c00);
  });
});

describe("bf16", () => {
  it("is the nearest, ties to even", () => {
    const values = Float32Array.from([1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, -Math.PI, 0, 3.4e38]);
    const bits = new Uint16Array(convertElements(bytesOf(values), "F32", "BF16").buffer);
    const expected = [1, 1, 1 + 2 ** -6, 1 + 2 ** -7, -3.140625, 0, Number.POSITIVE_INFINITY];
    expect([...toFloats(new Uint8Array(bits.buffer), "BF16")]).toEqual(expected);
    const nan = convertElements(bytesOf(Float32Array.of(Number.NaN)), "F32", "BF16");
    expect(toFloats(nan, "BF16")[0]).toBeNaN();
  });
});

/** Q8_0's elements. */
function dequantize(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: number[] = [];
  for (let at = 0; at < bytes.length; at += 34) {
    const scale = float16ToFloat32(Uint16Array.of(view.getUint16(at, true)))[0]!;
    for (let i = 0; i < 32; i++) values.push(scale * view.getInt8(at + 2 + i));
  }
  return values;
}

describe("Q8_0", () => {
  it("is within half a step of the elements, and of one of them exact but for the scale", () => {
    const values = Float32Array.from({ length: 320 }, (_, i) => Math.sin(i * 1.7) * 2 ** ((i >> 5) - 5));
    values.fill(0, 64, 96);
    const found = dequantize(convertElements(bytesOf(values), "F32", "Q8_0"));
    expect(found.length).toBe(values.length);
    for (let block = 0; block < 10; block++) {
      const range = values.subarray(32 * block, 32 * block + 32);
      const largest = Math.max(...range.map(Math.abs));
      for (const [i, value] of range.entries()) {
        expect(Math.abs(found[32 * block + i]! - value)).toBeLessThanOrEqual(largest * (0.5 / 127 + 2 ** -10));
      }
    }
  });
});

describe("an export", () => {
  const source = fileURLToPath(new URL("../fixtures/prompts/own", import.meta.url));

  it.each<[GgufDtype, string, number]>([
    ["f32", "F32", 0],
    ["f16", "F16", 1],
    ["bf16", "BF16", 32],
    ["q8_0", "Q8_0", 7],
  ])("in %s has matrices of that type, and norms in fp32", async (dtype, name, fileType) => {
    const result = await exportGguf(source, path("m.gguf"), { dtype });
    expect(result.dtype).toBe(name);
    const { metadata, tensorInfos, tensorDataOffset } = await gguf(path("m.gguf"), { allowLocalFile: true });
    expect((metadata as Record<string, unknown>)["general.file_type"]).toBe(fileType);
    const types = tensorInfos.map((info) => [info.name.includes("norm"), GGMLQuantizationType[info.dtype]]);
    // Rows of 48 are no whole blocks of 32.
    const other = dtype === "q8_0" ? ["F16"] : [];
    for (const [isNorm, type] of types) expect(isNorm ? ["F32"] : [name, ...other]).toContain(type);
    const file = readFileSync(path("m.gguf"));
    expect(file.length).toBe(result.bytes);
    const embedding = tensorInfos.find((info) => info.name === "token_embd.weight")!;
    const begin = Number(tensorDataOffset + embedding.offset);
    const elements = embedding.shape.reduce((product, size) => product * Number(size), 1);
    const bytes = Uint8Array.from(
      file.subarray(begin, begin + (elements / 32) * { f32: 128, f16: 64, bf16: 64, q8_0: 34 }[dtype]),
    );
    const values = dtype === "q8_0" ? dequantize(bytes) : [...toFloats(bytes, name as "F32")];
    rmSync(path("m.gguf"));
    await exportGguf(source, path("m.gguf"));
    const original = readFileSync(path("m.gguf"));
    const plain = await gguf(path("m.gguf"), { allowLocalFile: true });
    const at = Number(
      plain.tensorDataOffset + plain.tensorInfos.find((info) => info.name === "token_embd.weight")!.offset,
    );
    const exact = toFloats(Uint8Array.from(original.subarray(at, at + 4 * elements)), "F32");
    const largest = Math.max(...exact.map(Math.abs));
    const allowed = { f32: 0, f16: 2 ** -11, bf16: 2 ** -8, q8_0: 2 ** -7 }[dtype];
    for (const [i, value] of exact.entries())
      expect(Math.abs(values[i]! - value)).toBeLessThanOrEqual(allowed * largest);
  });

  it("in another type is refused", async () => {
    const wrong = exportGguf(source, path("m.gguf"), { dtype: "q4_0" as never });
    await expect(wrong).rejects.toThrow('exportGguf: dtype: expected f32, f16, bf16 or q8_0 but received "q4_0"');
  });
});
