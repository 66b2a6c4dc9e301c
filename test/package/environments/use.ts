/**
 * What every environment does with the package, from text to a trained model: run.ts writes it as use.mjs and as use.cjs
 * beside an environment's program, which gives it the package as that program got it.
 */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as Api from "nextpatch";
import type * as Kernels from "nextpatch/kernels";

export async function use(api: typeof Api, kernels: typeof Kernels): Promise<string> {
  // A tensor of one entry is one for the other.
  const device = api.Device.open("cpu");
  const table = new api.Tensor(device, "f32", [3, 1]);
  table.write(Float32Array.of(1, 2, 3));
  const tokens = new kernels.Tensor(device, "i32", [2]);
  tokens.write(Int32Array.of(0, 2));
  const mean = await kernels.patchEmbedding(tokens, table, { patchSize: 2 }).read();
  if (mean.length !== 1 || mean[0] !== 2) throw new Error(`expected the mean 2 but received ${mean}`);

  // Errors that native code and TypeScript throw are of the classes that are exported.
  expectError(kernels.DeviceError, () => api.Device.open("cuda:1000"));
  expectError(RangeError, () => new api.Tensor(device, "f32", [-1]));
  expectError(TypeError, () => kernels.patchEmbedding(table as never, table, { patchSize: 1 }));
  expectError(api.ConfigError, () => api.parseRunConfig({ stepz: 1 }, "config"));

  // The tokenizer's addon, its training in a process of its own, and a run with its report.
  const folder = mkdtempSync(join(tmpdir(), "use-"));
  const text = join(folder, "text.txt");
  writeFileSync(text, Array.from({ length: 400 }, (_, i) => `Sentence ${i} of ${(i * 7919) % 1000}.`).join("\n\n"));
  const data = join(folder, "data");
  await api.prepareDataset({ files: [text], out: data, trainTokenizerVocab: 300, valFraction: 0.1 });
  const config = {
    name: "environment",
    model: { vocab_size: 300, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1, num_attention_heads: 1 },
    data: { train: join(data, "train_*.bin") },
    stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }],
    batch: { tokensPerStep: 256, sequenceLength: 16 },
    train: { steps: 4 },
    device: "cpu",
    out: join(folder, "run"),
  };
  const trainer = await api.Trainer.open(api.parseRunConfig(config, "config"));
  let last = Number.NaN;
  for await (const { loss } of trainer.run()) last = loss;
  await trainer.close();
  if (!(last > 1 && last < 10)) throw new Error(`expected a loss but received ${last}`);
  if (!readFileSync(join(folder, "run/report.html"), "utf8").includes("uPlot")) throw new Error("no report");
  (await api.Llama.load(join(folder, "run/model"), { device })).dispose();
  return `used: loss ${last.toFixed(3)}`;
}

function expectError(type: new (...args: never[]) => Error, call: () => unknown): void {
  let thrown: unknown = null;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  if (!(thrown instanceof type)) throw new Error(`expected a ${type.name} but received ${String(thrown)}`);
}
