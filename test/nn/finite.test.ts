/** A model with a weight that is NaN or infinite is refused, wherever it is read; the error names the weight. */
import { cpSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { CheckpointError } from "../../lib/errors.js";
import { exportGguf } from "../../lib/gguf/export.js";
import { exportHf } from "../../lib/hf/export.js";
import { type SafetensorsEntry, SafetensorsFile, writeSafetensors } from "../../lib/hf/safetensors.js";
import { Llama } from "../../lib/nn/llama.js";
import { backends, open } from "../support/backends.js";
import { madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { madeTokenizer } from "../support/made_tokenizer.js";
import { temporaryFolder } from "../support/temporary.js";
import { tensorBytesOf } from "../support/tensors.js";

const path = temporaryFolder();
const source = fileURLToPath(new URL("../fixtures/hf/untied", import.meta.url));
const NAME = "model.layers.1.mlp.down_proj.weight";

/** A copy of a fixture in an element type, with the bytes of one element of a tensor. */
async function spoil(
  folder: string,
  at: number,
  dtype: "F32" | "BF16" | "F16",
  bytes: readonly number[],
): Promise<number[]> {
  cpSync(source, path(folder), { recursive: true });
  const file = await SafetensorsFile.open(`${source}/model.safetensors`);
  const entries = await Promise.all(
    file.names().map(async (name): Promise<SafetensorsEntry> => {
      const { shape } = file.info(name);
      const whole = await tensorBytesOf(file, name);
      // The upper halves of floats are bf16; as halves they are some other finite numbers, but for these.
      const data = dtype === "F32" ? whole : whole.filter((_, index) => index % 4 > 1);
      if (dtype === "F16") for (let i = 1; i < data.length; i += 2) data[i]! &= 0xbf;
      if (name === NAME) data.set(bytes, at * bytes.length);
      return { name, shape, dtype, data: () => [data] };
    }),
  );
  const { shape } = file.info(NAME);
  await file.close();
  await writeSafetensors(path(`${folder}/model.safetensors`), entries);
  return [...shape];
}

const cases = [
  { dtype: "F32", bytes: [0, 0, 0xc0, 0x7f], value: "NaN" },
  { dtype: "F32", bytes: [0, 0, 0x80, 0xff], value: "-Infinity" },
  { dtype: "BF16", bytes: [0x80, 0x7f], value: "Infinity" },
  { dtype: "F16", bytes: [0x01, 0xfc], value: "NaN" },
] as const;

describe.each(cases)("$value in $dtype", ({ dtype, bytes, value }) => {
  let message: RegExp;
  beforeEach(async () => {
    const shape = await spoil("m", 1234, dtype, bytes);
    const place = `${Math.floor(1234 / shape[1]!)}, ${1234 % shape[1]!}`;
    message = new RegExp(
      `/m: ${NAME.replaceAll(".", "\\.")}\\[${place}\\]: expected a finite weight but received ${value}$`,
    );
  });

  it.each(backends)("is found on %s", async (backend) => {
    const loaded = Llama.load(path("m"), { device: open(backend), precision: "bf16" });
    await expect(loaded).rejects.toThrow(CheckpointError);
    await expect(loaded).rejects.toThrow(message);
  });

  it("is found by an export, of which nothing is left", async () => {
    writeFileSync(path("m/tokenizer.json"), madeTokenizer({ characters: ["a", "b"] }));
    for (const exported of [
      () => exportHf(path("m"), path("out"), { dtype: "bf16" }),
      () => exportGguf(path("m"), path("out.gguf"), { dtype: "q8_0" }),
    ]) {
      await expect(exported()).rejects.toThrow(CheckpointError);
      await expect(exported()).rejects.toThrow(message);
    }
    expect(readdirSync(path())).toEqual(["m"]);
  });
});

it("is refused by a run that begins with it", async () => {
  await writeMadeData(path());
  await runTo(madeConfig(path()), { until: 1 });
  using model = await Llama.load(path("run/checkpoints/step-00000001"), { device: "cpu", precision: "fp32" });
  const embedding = model.parameters.view(model.parameters.master, "model.embed_tokens.weight");
  embedding.narrow(0, 3, 1).narrow(1, 5, 1).reshape([1]).write(Float32Array.of(Number.NaN));
  await model.save(path("bad"));
  const from = madeConfig(path(), { model: undefined, init: { from: path("bad") }, out: path("two") });
  await expect(runTo(from)).rejects.toThrow(/\/bad: model\.embed_tokens\.weight\[3, 5\]: expected a finite weight/);
});
