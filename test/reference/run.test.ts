/** The examples of the reference run, one after the other, in a folder with the files that they name. */
import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, it } from "@jest/globals";
import { builtCommand } from "../support/built.js";
import { examples, writePrograms } from "./examples.js";

const tsc = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));
const { path } = builtCommand();

/** Trains the model that the examples load, on a text that is large enough to be read in blocks. */
const setup = `
import { Trainer, loadRunConfig, prepareDataset } from "nextpatch";
await prepareDataset({ files: ["text.txt"], out: "data/mine", trainTokenizerVocab: 300, valFraction: 0.05 });
await using trainer = await Trainer.open(await loadRunConfig("config.yaml"));
for await (const _ of trainer.run());
`;

const config = {
  name: "mine",
  model: {
    vocab_size: 300,
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    max_position_embeddings: 128,
  },
  data: { train: "data/mine/train_*.bin", val: "data/mine/val_*.bin" },
  stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }],
  batch: { tokensPerStep: 256, sequenceLength: 16 },
  train: { steps: 4 },
  eval: { everySteps: 4, sequences: 4 },
  device: "cpu",
};

/** An example with a smaller vocabulary, and in folders of its own where it writes what others read. */
function small(name: string, code: string): string {
  const own = code.replaceAll("4096", "300");
  if (name === "prepareDataset") return own.replace("data/mine", "data/prepared");
  return name === "Trainer" ? own.replace('"config.yaml"', '"other.yaml"') : own;
}

beforeAll(async () => {
  const lines = Array.from({ length: 3000 }, (_, i) => `Sentence ${i} of ${(i * 7919).toString(36)}.`);
  writeFileSync(path("text.txt"), lines.join("\n\n"));
  writeFileSync(path("more.txt"), lines.slice(0, 500).join("\n\n"));
  writeFileSync(path("config.json"), JSON.stringify(config));
  mkdirSync(path("runs"));
  writeFileSync(path("config.yaml"), JSON.stringify(config));
  writeFileSync(path("other.yaml"), JSON.stringify({ ...config, name: "other" }));
  const item = { activity_label: "Rowing", ctx_a: "A man rows.", ctx_b: "he", endings: ["stops.", "flies."], label: 0 };
  writeFileSync(path("hellaswag_val.jsonl"), JSON.stringify(item));
  const programs = examples().map(({ name, code }) => [`examples/${name}.ts`, small(name, code)]);
  writePrograms(path(""), { "setup.ts": setup, ...Object.fromEntries(programs) });
  const { stdout } = spawnSync(process.execPath, [tsc, "-p", path("tsconfig.json")], { encoding: "utf8" });
  expect(stdout).toBe("");
});

/** What the comments in the examples say that is printed. */
const said: Readonly<Record<string, RegExp>> = {
  patchEmbedding: /1\.5,\s+15,\s+0\.5,\s+5\s/,
  "patchEmbedding.2": /0,\s+0,\s+0\.5,\s+5,\s+0\.5,\s+5\s/,
  patchCrossEntropy: /4\.605/,
  "patchCrossEntropy.2": /^-0\.49\S* 0\.00999/m,
  learningRate: /^0\.0003\n0$/m,
  Tensor: /4,\s+5,\s+6\s/,
  AdamW: /^0$/m,
  Ranks: /^1$/m,
};

it("run, and print what they say", async () => {
  const names = examples().map(({ name }) => name);
  // One process for all of them: each is a module that ends before the next begins.
  const all = `await import("./setup.js");
for (const name of ${JSON.stringify(names)}) {
  console.log("\\n# " + name);
  await import(\`./examples/\${name}.js\`);
}
`;
  writeFileSync(path("all.mjs"), all);
  const { NODE_OPTIONS: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, [path("all.mjs")], { cwd: path(""), env });
  const printed = new Map(stdout.split(/^# /m).map((part) => [part.split("\n")[0]!, part]));
  expect(names.filter((name) => !/\n./.test(printed.get(name) ?? ""))).toEqual([]);
  for (const [name, pattern] of Object.entries(said)) expect(printed.get(name)).toMatch(pattern);
});
