/**
 * docs/surface.txt lists what others rely on: exports, commands and their flags, config keys, JSON fields. This test
 * compares it with the code, so that a change of contract is a line in a diff. `npm run surface` writes it.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, it } from "@jest/globals";
import { runConfigJsonSchema } from "../../lib/config/schema.js";
import { meaningfulKeys } from "../../lib/hf/config.js";
import { builtCommand } from "../support/built.js";
import { declarationLines, publicDeclarations } from "../support/declarations.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const surface = join(root, "docs/surface.txt");
const nextpatch = builtCommand();
const { path } = nextpatch;

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema | false;
  readonly anyOf?: readonly Schema[];
}

/** Keys of a config, `stages[].patchSize`, in the order of the schema. */
function configKeys(schema: Schema, at = ""): string[] {
  const inside = Object.entries(schema.properties ?? {}).flatMap(([key, child]) => {
    const name = at === "" ? key : `${at}.${key}`;
    return [name, ...configKeys(child, name)];
  });
  const items = typeof schema.items === "object" ? configKeys(schema.items, `${at}[]`) : [];
  return [...new Set([...inside, ...items, ...(schema.anyOf ?? []).flatMap((child) => configKeys(child, at))])];
}

/** Objects whose keys are names of something and no contract: libraries, tasks. */
const open = new Set(["versions", "libraries", "tasks", "recipes", "tune"]);

/** The fields of a JSON value, `curve[].tokens`; of a list those of all its items. */
function fields(value: unknown, at = ""): string[] {
  if (Array.isArray(value)) return [...new Set(value.flatMap((item) => fields(item, `${at}[]`)))];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => {
    const name = at === "" ? key : `${at}.${key}`;
    return [name, ...(open.has(key) ? [] : fields(child, name))];
  });
}

const config = `
name: small
model: { hidden_size: 64, intermediate_size: 96, num_hidden_layers: 1, num_attention_heads: 2, vocab_size: 300 }
data: { train: data/train_*.bin, val: data/val_*.bin }
stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }]
batch: { tokensPerStep: 256, sequenceLength: 16 }
train: { steps: 4 }
eval: { everySteps: 2, sequences: 4 }
device: cpu
`;
const model = JSON.stringify({
  vocab_size: 300,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 1,
  num_attention_heads: 2,
});

/** Commands in the order in which they can be run; `name` is what is listed. */
const runs: readonly { name: string; args: readonly string[] }[] = [
  {
    name: "prepare",
    args: ["prepare", "text.jsonl", "--out", "data", "--train-tokenizer", "300", "--val-fraction", "0.2"],
  },
  { name: "train", args: ["train", "config.yaml"] },
  {
    name: "eval",
    args: ["eval", "--model", "runs/small/model", "--data", "data/val_000000.bin", "--sequence-length", "16"],
  },
  { name: "generate", args: ["generate", "--model", "runs/small/model", "--prompt", "The", "--max-tokens", "4"] },
  {
    name: "generate --prompts",
    args: ["generate", "--model", "runs/small/model", "--prompts", "prompts.txt", "--max-tokens", "4"],
  },
  {
    name: "compare",
    args: ["compare", "config.yaml", "--set", "out=runs/compared", "--equal-cost", "--tasks", "task.jsonl"],
  },
  {
    name: "compare",
    args: [
      ...["compare", "config.yaml", "--set", "out=runs/recipes", "--recipe", "superposition", "--seeds", "1,2"],
      ...["--tune", "lr=1e-3", "share=1"],
    ],
  },
  {
    name: "export",
    args: ["export", "--model", "runs/small/model", "--format", "gguf", "--out", "small.gguf"],
  },
  {
    name: "export --format hf",
    args: ["export", "--model", "runs/small/model", "--format", "hf", "--dtype", "bf16", "--out", "small-hf"],
  },
  {
    name: "bench train",
    args: ["bench", "train", "--model", model, "--sequence-length", "16", "--tokens-per-step", "64", "--steps", "1"],
  },
  { name: "tune", args: ["tune", "config.yaml"] },
  { name: "plan", args: ["plan", "config.yaml", "--gpus", "2", "--gpu", "h100"] },
  { name: "info", args: ["info", "--config", "config.yaml"] },
];

/** Files that a run and a prepared folder leave, and that other tools read. */
const files: readonly { name: string; file: string }[] = [
  { name: "dataset.json", file: "data/dataset.json" },
  { name: "metrics.jsonl", file: "runs/small/metrics.jsonl" },
  { name: "trainer/state.json", file: "runs/small/checkpoints/step-00000004/trainer/state.json" },
  { name: "model/config.json", file: "runs/small/model/config.json" },
  { name: "model/generation_config.json", file: "runs/small/model/generation_config.json" },
  { name: "model/tokenizer_config.json", file: "runs/small/model/tokenizer_config.json" },
];

let found = "";
beforeAll(async () => {
  const documents = Array.from({ length: 40 }, (_, d) => `The cat saw ${d} stars, and ${d * 7} more. `.repeat(9));
  writeFileSync(path("text.jsonl"), documents.map((text) => JSON.stringify({ text })).join("\n"));
  writeFileSync(path("prompts.txt"), "The\ncat\n");
  writeFileSync(path("config.yaml"), config);
  writeFileSync(path("task.jsonl"), JSON.stringify({ query: "The cat", choices: [" saw", " more"], gold: 0 }));

  // Those of the command's modules, too, which the package has no use for.
  const types = ["-p", "tsconfig.build.json", "--emitDeclarationOnly", "--outDir", path("types")];
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", ...types], { cwd: root });

  const lines: string[] = [];
  const section = (title: string, list: readonly string[]) => lines.push(`# ${title}`, "", ...list, "");
  section("import from nextpatch", publicDeclarations(path("dist/index.d.ts")));
  section("import from nextpatch/kernels", publicDeclarations(path("dist/kernels.d.ts")));
  const handles = ["Device", "Graph", "Tensor"].flatMap((name) => declarationLines(name, path("binding.d.ts")));
  section("Device, Graph and Tensor", handles);
  const timings = declarationLines("KernelBenchResult", path("types/bench/kernels/run.d.ts"));
  const tuned = declarationLines("ProductSummary", path("types/bench/products/summary.d.ts"));
  const checks = ["DeviceCheck", "OperationCheck"].flatMap((name) =>
    declarationLines(name, path("types/check/run.d.ts")),
  );

  section("commands", (await helps("nextpatch")).flat());
  section("config keys", configKeys(runConfigJsonSchema() as Schema));
  section("config keys: model", [...meaningfulKeys]);
  const json: string[] = [];
  for (const { name, args } of runs) {
    const { code, stdout, stderr } = await nextpatch(...args, "--json");
    expect({ name, code, stderr }).toEqual({ name, code: 0, stderr });
    json.push(...fields(JSON.parse(stdout)).map((field) => `${name}: ${field}`));
  }
  const described = [
    ...checks.map((line) => `info: check[]: ${line}`),
    ...timings.map((line) => `bench kernels: ${line}`),
    ...tuned.map((line) => `tune: ${line}`),
  ];
  section("--json", [...new Set(json), ...described]);
  const written = files.flatMap(({ name, file }) => {
    const text = readFileSync(path(file), "utf8");
    const items: unknown[] = file.endsWith(".jsonl")
      ? text
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as unknown)
      : [JSON.parse(text)];
    return [...new Set(items.flatMap((item) => fields(item)))].map((field) => `${name}: ${field}`);
  });
  section("files", written);
  found = `${lines.join("\n").trimEnd()}\n`;
  if (process.env.NEXTPATCH_WRITE_SURFACE) writeFileSync(surface, found);
});

/** Usage and flags of a command and of those below it, without their explanations. */
async function helps(...names: string[]): Promise<string[]> {
  const { stdout } = await nextpatch(...names.slice(1), "--help");
  const usage = /^Usage: (.*)$/m.exec(stdout)![1]!;
  const part = (title: string) =>
    new RegExp(`^${title}:\\n([\\s\\S]*?)(\\n\\n|$(?![\\s\\S]))`, "m").exec(stdout)?.[1] ?? "";
  const flags = [...part("Options").matchAll(/^ {2}(-.*?)(?: {2,}.*)?$/gm)].map(([, flag]) => flag!);
  const below = [...part("Commands").matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name!).filter((n) => n !== "help");
  const lines = [
    usage,
    ...flags.filter((flag) => !flag.includes("--help")).map((flag) => `${names.join(" ")} ${flag}`),
  ];
  for (const name of below) lines.push(...(await helps(...names, name)));
  return lines;
}

it("docs/surface.txt is what `npm run surface` writes", () => {
  expect(found.split("\n")).toEqual(readFileSync(surface, "utf8").split("\n"));
});
