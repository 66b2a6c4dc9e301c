/**
 * Writes docs/config.md, schema.json and lib/config/config_types.ts from the schema in lib/config/schema.ts, and the tables
 * of docs/results.md, of the seeded faults in docs/testing.md, of attention's warps in docs/cuda.md, of environments in
 * docs/install.md, of oneDNN's versions in docs/onednn.md, of faults in docs/reliability.md and of trials in
 * docs/trials.md, and the picture docs/images/map.svg: `npm run docs`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runConfigJsonSchema } from "../lib/config/schema.js";
import { meaningfulKeys } from "../lib/hf/config.js";
import { presets } from "../lib/hf/presets.js";
import { fixedKeys, freeSections, lengthKeys, tunableKeys } from "../lib/train/config_hash.js";
import { configTypesFile } from "./config_types.js";
import { withEnvironments } from "./environments_table.js";
import { withFaults } from "./faults_table.js";
import { mapFigure } from "./map_figure.js";
import { withMutants } from "./mutants_table.js";
import { withVersions } from "./onednn_table.js";
import { withTables } from "./results_tables.js";
import { defaultText, type SchemaNode, values } from "./schema_nodes.js";
import { withTrials } from "./trials_table.js";
import { withWarps } from "./warps_table.js";

interface Row {
  readonly key: string;
  readonly values: string;
  readonly fallback: string;
  readonly meaning: string;
}

/** The page, as it stands in docs/config.md. */
export function configPage(): string {
  const schema = runConfigJsonSchema() as SchemaNode;
  const sections = Object.entries(schema.properties!).map(([key, node]) => {
    const required = schema.required?.includes(key) ?? false;
    const inside = node.type === "array" ? (node.items as SchemaNode) : node;
    const prefix = node.type === "array" ? `${key}[].` : `${key}.`;
    // A stage's sections have the keys of the run's.
    return [row(key, node, required), ...rowsInside(inside, prefix, node.type === "array" ? 1 : 2)];
  });
  return [
    "# The run config",
    "",
    "<!-- Written by `npm run docs` from lib/config/schema.ts. -->",
    "",
    "A run config is a YAML or JSON file for `npx nextpatch train` and `npx nextpatch info --config`. An unknown key is an",
    "error that names the nearest known one; all problems are reported at once. `--set key=value` overrides a key:",
    "`--set batch.tokensPerStep=65536 --set 'stages=[{patchSize: 1}]'`; `stages[0].patchSize` is a key of the first stage.",
    "In a program the same keys go to `defineConfig({ … })`, where an editor completes and explains them and a wrong one does",
    "not compile, or as a value of any kind to `parseRunConfig`.",
    "",
    "| key | holds | default | meaning |",
    "|---|---|---|---|",
    ...sections
      .flat()
      .map(({ key, values, fallback, meaning }) => `| \`${key}\` | ${values} | ${fallback} | ${meaning} |`),
    "",
    "Editors complete and check the keys by the package's JSON Schema, `schema.json`. In JSON it is named by the key",
    '`"$schema": "./node_modules/nextpatch/schema.json"`, in YAML by a comment for the YAML language server:',
    "",
    "```yaml",
    "# yaml-language-server: $schema=node_modules/nextpatch/schema.json",
    "```",
    "",
    "A section of a stage (`optimizer`, `schedule`, `batch`) holds only the keys that differ in the stage. What a `recipe`",
    "stands for is in [method.md](method.md#recipes).",
    "",
    "## What may change when a run goes on",
    "",
    "| keys | may differ from the run's |",
    "|---|---|",
    `| ${list(freeSections)} | with \`--resume\`: they say where and how often, not what is computed; of \`productTable\` the place, not the content |`,
    `| ${list(tunableKeys)} | with \`--resume --from step-N\`: how it learns from there on |`,
    `| ${list(lengthKeys)} | with \`--resume\`: the run's length, where the steps that are done stay what they are ([checkpoints.md](checkpoints.md#a-longer-run)) |`,
    "| all others | with `--resume --from step-N --force`: what the run's steps mean changes |",
    `| ${list(fixedKeys)} | never: the checkpoint's tensors are those of its model and optimizer |`,
    "",
    "[checkpoints.md](checkpoints.md#going-back) says what happens then.",
    "",
    "## The model",
    "",
    "The keys are those of a Hugging Face `LlamaConfig`, so a checkpoint's `config.json` can be pasted as it stands.",
    "Those with a meaning here:",
    "",
    `${meaningfulKeys.map((key) => `\`${key}\``).join(", ")}.`,
    "",
    "Other keys are ignored, unless they are a misspelling of one of these. Keys beside a `preset` replace the preset's:",
    "",
    "| preset | vocabulary | hidden | intermediate | layers | heads |",
    "|---|---|---|---|---|---|",
    ...Object.entries(presets).map(
      ([name, p]) =>
        `| \`${name}\` | ${p.vocab_size} | ${p.hidden_size} | ${p.intermediate_size} | ${p.num_hidden_layers} | ` +
        `${p.num_attention_heads} |`,
    ),
    "",
  ].join("\n");
}

const list = (keys: readonly string[]): string => keys.map((key) => `\`${key.replace(".*", "[]")}\``).join(", ");

/** The JSON Schema of run configs, as it stands in schema.json. */
export function schemaFile(): string {
  return `${JSON.stringify({ title: "nextpatch run config", ...runConfigJsonSchema() }, null, 2)}\n`;
}

/** The keys of a section, and of the sections in it down to a depth. */
function rowsInside(section: SchemaNode, prefix: string, depth: number): Row[] {
  if (depth === 0) return [];
  return Object.entries(section.properties ?? {}).flatMap(([name, child]) => [
    row(prefix + name, child, section.required?.includes(name) ?? false),
    ...rowsInside(child, `${prefix}${name}.`, depth - 1),
  ]);
}

/** What a stage takes from the run where it does not say. */
const inherited: ReadonlySet<string> = new Set(["stages[].keepOptimizer", "stages[].labelWeights"]);

function row(key: string, node: SchemaNode, required: boolean): Row {
  const [, meaning, told] = /^(.*?)(?: ?Default:? ([\s\S]*?)\.)?$/s.exec(node.description ?? "")!;
  const isSection = node.properties !== undefined;
  const written = node.default === undefined || isSection ? undefined : `\`${defaultText(node.default)}\``;
  const known = inherited.has(key) ? "the run's" : told === undefined ? written : literal(told);
  return {
    key,
    values: values(node),
    fallback: required ? "required" : (known ?? ""),
    meaning: meaning!.trim().replaceAll("|", "\\|"),
  };
}

/** A default as the description has it: a value in code, words as they are. */
function literal(text: string): string {
  return text.includes(" ") && !text.startsWith("[") ? text : `\`${text}\``;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL("config.md", import.meta.url), configPage());
  writeFileSync(new URL("../schema.json", import.meta.url), schemaFile());
  writeFileSync(new URL("../lib/config/config_types.ts", import.meta.url), configTypesFile());
  writeFileSync(new URL("images/map.svg", import.meta.url), await mapFigure());
  const tables = {
    results: withTables,
    testing: withMutants,
    cuda: withWarps,
    install: withEnvironments,
    onednn: withVersions,
    reliability: withFaults,
    trials: withTrials,
  };
  for (const [name, withThem] of Object.entries(tables)) {
    const page = new URL(`${name}.md`, import.meta.url);
    writeFileSync(page, withThem(readFileSync(page, "utf8")));
  }
}
