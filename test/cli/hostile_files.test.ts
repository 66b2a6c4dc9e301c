/**
 * Files that are not what they should be, given to the commands: each ends with exit code 1 or 2 and one short line that
 * names the file.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "@jest/globals";
import { builtCommand, complaint } from "../support/built.js";

const nextpatch = builtCommand();
const { path } = nextpatch;

const config = `
name: small
model: { hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 2, vocab_size: 300 }
data: { train: data/train_*.bin, val: data/val_*.bin }
stages: [{ patchSize: 1 }]
batch: { tokensPerStep: 256, sequenceLength: 32 }
train: { steps: 4 }
schedule: { warmupSteps: 2 }
checkpoint: { everySteps: 2, keep: 1 }
device: cpu
precision: fp32
`;

/** What is done to a file. */
const damages = {
  "a folder in its place": (file: string) => {
    rmSync(file);
    mkdirSync(file);
  },
  "cut in half": (file: string) => truncateSync(file, Math.floor(readFileSync(file).length / 2)),
  empty: (file: string) => writeFileSync(file, ""),
  "JSON nested 100,000 deep": (file: string) => writeFileSync(file, `${"[".repeat(100_000)}${"]".repeat(100_000)}`),
  "other bytes": (file: string) => writeFileSync(file, Buffer.alloc(5000, 0xff)),
} as const;
type Damage = keyof typeof damages | "a weight of NaN";

beforeAll(async () => {
  const text = Array.from({ length: 900 }, (_, i) => `The ${["cat", "dog", "owl"][i % 3]} saw ${i} stars.`).join(" ");
  writeFileSync(path("a.txt"), text);
  writeFileSync(path("run.yaml"), config);
  expect(await nextpatch("prepare", "a.txt", "--out", "data", "--train-tokenizer", "300")).toMatchObject({ code: 0 });
  expect(await nextpatch("train", "run.yaml")).toMatchObject({ code: 0 });
}, 300_000);

/** The last weight of a safetensors file, of f32, is not a number. */
function spoil(file: string): void {
  const bytes = readFileSync(file);
  bytes.writeFloatLE(Number.NaN, bytes.length - 4);
  writeFileSync(file, bytes);
}

/**
 * Damages a file of a copy of the run, and gives it to a command.
 * @param withManifest whether the manifest that knows better stays
 */
async function refused(file: string, damage: Damage, withManifest: boolean, args: readonly string[]): Promise<string> {
  rmSync(path("runs/hostile"), { recursive: true, force: true });
  cpSync(path("runs/small"), path("runs/hostile"), { recursive: true });
  const damaged = path(`runs/hostile/${file}`);
  const manifest = join(dirname(damaged), "manifest.json");
  const above = join(dirname(dirname(damaged)), "manifest.json");
  if (!withManifest) for (const each of [manifest, above]) if (existsSync(each)) rmSync(each);
  if (damage === "a weight of NaN") spoil(damaged);
  else damages[damage](damaged);
  const { code, stdout, stderr } = await nextpatch(...args);
  expect(stdout).toBe("");
  expect([1, 2]).toContain(code);
  return complaint(stderr);
}

/** Besides what is told of progress, and of a checkpoint whose manifest the test has deleted. */
function expectOneShortLine(text: string, name: string): void {
  const [line, ...more] = text
    .trimEnd()
    .split("\n")
    .filter((each) => !/^export: |has no manifest\.json: it is taken as it is$/.test(each));
  expect(more).toEqual(more.includes(noOther) ? [noOther] : []);
  expect(line!.length).toBeLessThan(600);
  expect(line).toContain(name);
}
const noOther = "no checkpoint of the run is intact";

const commands = {
  eval: ["eval", "--model", "runs/hostile/model", "--data", "data/val_*.bin", "--device", "cpu"],
  export: ["export", "--model", "runs/hostile/model", "--format", "gguf", "--out", "hostile.gguf"],
  "export hf": ["export", "--model", "runs/hostile/model", "--format", "hf", "--out", "hostile-hf"],
  generate: ["generate", "--model", "runs/hostile/model", "--prompt", "a", "--max-tokens", "2", "--device", "cpu"],
} as const;

describe.each(Object.entries(commands))("%s", (_, args) => {
  it.each(Object.keys(damages) as (keyof typeof damages)[])("weights: %s", async (damage) => {
    expectOneShortLine(await refused("model/model.safetensors", damage, false, args), "model.safetensors");
  });
  it.each(Object.keys(damages) as (keyof typeof damages)[])("config: %s", async (damage) => {
    expectOneShortLine(await refused("model/config.json", damage, false, args), "config.json");
  });
  it("weights that are NaN", async () => {
    expectOneShortLine(await refused("model/model.safetensors", "a weight of NaN", false, args), "finite weight");
  });
  it("what the manifest does not say", async () => {
    for (const file of ["model/model.safetensors", "model/manifest.json"]) {
      expectOneShortLine(await refused(file, "cut in half", true, args), file);
    }
  });
});

describe("generate and export", () => {
  it.each(Object.keys(damages) as (keyof typeof damages)[])("tokenizer: %s", async (damage) => {
    for (const name of ["generate", "export"] as const) {
      expectOneShortLine(await refused("model/tokenizer.json", damage, false, commands[name]), "tokenizer.json");
    }
  });
});

describe("train --resume", () => {
  const args = ["train", "run.yaml", "--resume", "--set", "out=runs/hostile"];
  const checkpoint = "checkpoints/step-00000004";
  const files = ["config.json", "model.safetensors", "trainer/state.json", "trainer/master.safetensors"];
  const tried = Object.keys(damages) as (keyof typeof damages)[];
  it.each([...files, "manifest.json"])("a checkpoint's %s", async (name) => {
    const file = `${checkpoint}/${name}`;
    for (const damage of tried) expectOneShortLine(await refused(file, damage, true, args), file);
  });
  it.each(files.slice(2))("a checkpoint's %s, without a manifest", async (name) => {
    const file = `${checkpoint}/${name}`;
    for (const damage of tried) expectOneShortLine(await refused(file, damage, false, args), file);
  });
  it("metrics.jsonl", async () => {
    for (const damage of tried) expectOneShortLine(await refused("metrics.jsonl", damage, true, args), "metrics.jsonl");
  });
  it("weights that are NaN", async () => {
    const file = `${checkpoint}/trainer/master.safetensors`;
    expectOneShortLine(await refused(file, "a weight of NaN", false, args), "finite weight");
  });
});
