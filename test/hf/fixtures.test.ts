import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { CheckpointTensors } from "../../lib/hf/checkpoint_tensors.js";
import { parseLlamaConfig } from "../../lib/hf/config.js";
import { parameterCount, parameterTable } from "../../lib/hf/names.js";
import { tensorBytesOf } from "../support/tensors.js";

const root = fileURLToPath(new URL("../fixtures/hf/", import.meta.url));

describe("checkpoints as transformers wrote them", () => {
  it.each(readdirSync(root))("%s: the parameter table has the file's tensors and shapes", async (variant) => {
    const folder = `${root}${variant}`;
    const config = parseLlamaConfig(JSON.parse(readFileSync(`${folder}/config.json`, "utf8")), variant);
    const tensors = await CheckpointTensors.open(folder);
    const table = parameterTable(config);
    expect(table.map(({ name }) => name).sort()).toEqual(tensors.names().sort());
    let bytes = 0;
    for (const { name, shape, kind } of table) {
      const info = tensors.info(name);
      expect(info.shape).toEqual(shape);
      expect(kind).toBe(shape.length === 2 ? "matrix" : "vector");
      bytes += (await tensorBytesOf(tensors, name)).byteLength / (info.dtype === "BF16" ? 2 : 4);
    }
    expect(bytes).toBe(parameterCount(config));
    await tensors.close();
  });
});
