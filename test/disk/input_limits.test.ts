/** Inputs that are made to exhaust a reader: refused with a short error, in the time of a test. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { loadRunConfig } from "../../lib/config/config.js";
import { openShard } from "../../lib/data/shard.js";
import { readDocuments } from "../../lib/data/sources.js";
import { ConfigError, DataError } from "../../lib/errors.js";
import { parseLlamaConfig } from "../../lib/hf/config.js";
import { readModelConfig } from "../../lib/hf/model_config.js";
import { SafetensorsFile } from "../../lib/hf/safetensors.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nextpatch-limits-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

/** The message of a typed error. */
async function refusal(run: Promise<unknown>): Promise<string> {
  const error = (await run.then(
    () => null,
    (reason: unknown) => reason,
  )) as Error | null;
  expect(["ConfigError", "DataError", "CheckpointError"]).toContain(error?.name);
  expect(error!.message.length).toBeLessThan(600);
  return error!.message;
}

async function drain(path: string): Promise<void> {
  for await (const _ of readDocuments(path));
}

describe("a safetensors header", () => {
  const withHeader = (header: string): string => {
    const text = Buffer.from(header);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    return file("a.safetensors", Buffer.concat([length, text]));
  };
  it("has a limit for its metadata", async () => {
    const path = withHeader(`{"__metadata__":{"a":"${"x".repeat(12_000_000)}"}}`);
    expect(await refusal(SafetensorsFile.open(path))).toContain("__metadata__: expected at most 8 MiB");
  });
  it("is not nested deep", async () => {
    expect(await refusal(SafetensorsFile.open(withHeader(`{"a":${nested(200_000)}}`)))).toContain("500 deep");
  });
});

describe("a run config", () => {
  it.each([
    ["lists in lists", nested(100_000), "nested more than 50 deep"],
    ["lists in lists that do not end", "[".repeat(100_000), "nested more than 50 deep"],
    ["blocks in blocks", `${"- ".repeat(100_000)}a`, "nested more than 50 deep"],
    ["a list in itself", "a: &a [*a]", "or in themselves"],
    ["many anchors", "&a ".repeat(100_000), "more than 100 anchors"],
    ["a key twice", "name: a\nname: b", "Map keys must be unique at line 2, column 1"],
    ["a long text", "#".repeat(600_000), "at most 512 KiB are read"],
    ["keyed by bytes", "? !!binary AAAA\n: 3\n", "a key that is no plain text at line 1"],
    ["keyed by what is no text", "name: a\n? [1, 2]\n: 3\n", "a key that is no plain text at line 2, column 3"],
  ])("is not %s", async (_, text, message) => {
    expect(await refusal(loadRunConfig(file("c.yaml", text)))).toContain(message);
  });
});

describe("what is no file", () => {
  it("is refused, not waited for", async () => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    const model = join(folder, "model");
    mkdirSync(join(model, "config.json"), { recursive: true });
    expect(await refusal(openShard(pipe))).toContain("received a pipe or a device");
    expect(await refusal(SafetensorsFile.open(pipe))).toContain("received a pipe or a device");
    expect(await refusal(loadRunConfig(pipe))).toContain("received a pipe or a device");
    expect(await refusal(loadRunConfig(folder))).toContain("received a folder");
    expect(await refusal(readModelConfig(model))).toContain("received a folder");
  });
});

describe("text", () => {
  it("is not nested deep in JSON", async () => {
    const line = `{"text":"a","more":${nested(100_000)}}\n`;
    expect(await refusal(drain(file("deep.jsonl", line)))).toContain("500 deep");
    expect(await refusal(drain(file("deep.json", line)))).toContain("500 deep");
  });
});

describe("a model's sizes", () => {
  it.each([
    [{ num_hidden_layers: 1e9 }, "num_hidden_layers: expected a positive integer of at most 10000"],
    [{ hidden_size: 2 ** 40, head_dim: 64 }, "hidden_size: expected a positive integer of at most 16777216"],
    [{ hidden_size: 2 ** 24, intermediate_size: 2 ** 24, head_dim: 64 }, "at most 17592186044416 parameters"],
  ])("are refused where they are no model's: %j", (sizes, message) => {
    expect(() => parseLlamaConfig(sizes, "c")).toThrow(ConfigError);
    expect(() => parseLlamaConfig(sizes, "c")).toThrow(message);
  });
});

it("an error's message shows an input only in part", () => {
  const { message } = new DataError(`a.txt: expected b but received ${"x".repeat(1e6)}, at the end`);
  expect(message.length).toBeLessThan(510);
  expect(message).toMatch(/^a\.txt: expected b .* at the end$/);
});
