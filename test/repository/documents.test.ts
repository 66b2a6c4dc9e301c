/** The documents match the code. */

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "@jest/globals";
import { parse } from "yaml";
import { cudaModelPage } from "../../docs/cuda_model.js";
import { withEnvironments } from "../../docs/environments_table.js";
import { withFaults } from "../../docs/faults_table.js";
import { configPage, schemaFile } from "../../docs/generate.js";
import { mapFigure } from "../../docs/map_figure.js";
import { withMutants } from "../../docs/mutants_table.js";
import { withVersions } from "../../docs/onednn_table.js";
import { withTables } from "../../docs/results_tables.js";
import { withTrials } from "../../docs/trials_table.js";
import { withWarps } from "../../docs/warps_table.js";
import { parseRunConfig } from "../../lib/config/config.js";
import { builtCommand } from "../support/built.js";
import { writeShard } from "../support/made_run.js";

const root = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const readme = readFileSync(root("README.md"), "utf8");

/** The code of the first block in a language. */
function block(language: string): string {
  const found = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(readme);
  if (found === null) throw new Error(`README.md has no block in ${language}`);
  return found[1]!;
}

describe("docs/config.md", () => {
  it("is what `npm run docs` writes", () => {
    expect(readFileSync(root("docs/config.md"), "utf8")).toBe(configPage());
  });
});

describe("schema.json", () => {
  it("is what `npm run docs` writes", () => {
    expect(readFileSync(root("schema.json"), "utf8")).toBe(schemaFile());
  });

  it("is accepted as a config's $schema, which is no part of the run", () => {
    const config = parse(block("yaml")) as object;
    const named = { $schema: "./node_modules/nextpatch/schema.json", ...config };
    expect(parseRunConfig(named, "named")).toEqual(parseRunConfig(config, "plain"));
  });
});

describe("docs/install.md", () => {
  it("has the table of environments that `npm run docs` writes", () => {
    const page = readFileSync(root("docs/install.md"), "utf8");
    const emptied = page.replace(/(<!-- environments -->\n)[\s\S]*?(<!-- end -->)/, "$1$2");
    expect(emptied.length).toBeLessThan(page.length);
    expect(withEnvironments(emptied)).toBe(page);
  });
});

describe("docs/cuda-model.md", () => {
  it("is what `npm run cuda-model` writes", () => {
    expect(readFileSync(root("docs/cuda-model.md"), "utf8")).toBe(cudaModelPage());
  });
});

describe("docs/testing.md", () => {
  it("has the table of seeded faults that `npm run docs` writes", () => {
    const page = readFileSync(root("docs/testing.md"), "utf8");
    const emptied = page.replace(/(<!-- mutants -->\n)[\s\S]*?(<!-- end -->)/, "$1$2");
    expect(emptied.length).toBeLessThan(page.length);
    expect(withMutants(emptied)).toBe(page);
  });
});

describe("docs/cuda.md", () => {
  it("has the table of attention's warps that `npm run docs` writes", () => {
    const page = readFileSync(root("docs/cuda.md"), "utf8");
    const emptied = page.replace(/(<!-- warps -->\n)[\s\S]*?(<!-- end -->)/, "$1$2");
    expect(emptied.length).toBeLessThan(page.length);
    expect(withWarps(emptied)).toBe(page);
  });
});

describe("docs/onednn.md", () => {
  it("has the table of oneDNN's versions that `npm run docs` writes", () => {
    const page = readFileSync(root("docs/onednn.md"), "utf8");
    const emptied = page.replace(/(<!-- versions -->\n)[\s\S]*?(<!-- end -->)/, "$1$2");
    expect(emptied.length).toBeLessThan(page.length);
    expect(withVersions(emptied)).toBe(page);
  });
});

describe("docs/reliability.md", () => {
  it("has the table of faults that `npm run docs` writes", () => {
    const page = readFileSync(root("docs/reliability.md"), "utf8");
    const emptied = page.replace(/(<!-- faults -->\n)[\s\S]*?(<!-- end -->)/, "$1$2");
    expect(emptied.length).toBeLessThan(page.length);
    expect(withFaults(emptied)).toBe(page);
  });
});

describe("docs/trials.md", () => {
  it("has the tables of trials that `npm run docs` writes", () => {
    const page = readFileSync(root("docs/trials.md"), "utf8");
    const emptied = page.replace(/(<!-- linux_\S+ -->\n)[\s\S]*?(<!-- end -->)/g, "$1$2");
    expect(emptied.length).toBeLessThan(page.length);
    expect(withTrials(emptied)).toBe(page);
  });
});

describe("docs/results.md", () => {
  const page = readFileSync(root("docs/results.md"), "utf8");

  it("has the tables that `npm run docs` writes", () => {
    const emptied = page.replace(/(<!-- \S+ -->\n)[\s\S]*?(<!-- end -->)/g, "$1$2");
    expect(emptied.length).toBeLessThan(page.length);
    expect(withTables(emptied)).toBe(page);
  });

  it("has the picture that `npm run docs` draws", async () => {
    expect(await mapFigure()).toBe(readFileSync(root("docs/images/map.svg"), "utf8"));
  });

  it("links to files that are there", () => {
    const links = [...page.matchAll(/\]\((?!http)([^)#]+)/g)].map(([, link]) => link!);
    expect(links.length).toBeGreaterThan(5);
    for (const link of links) expect(existsSync(root(`docs/${link}`))).toBe(true);
  });
});

describe("README.md", () => {
  const nextpatch = builtCommand();
  const { path } = nextpatch;

  it("lists every command", async () => {
    const { stdout } = await nextpatch("--help");
    const names = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name!).filter((name) => name !== "help");
    expect(names).toContain("train");
    for (const name of names) expect(readme).toMatch(new RegExp(`^\\| \`${name} `, "m"));
  });

  it("shows a config that runs as it stands", async () => {
    const config = block("yaml");
    const { batch, model, stages, train } = parseRunConfig(parse(config), "README.md");
    expect(model).toMatchObject({ head_dim: 48 });
    expect(stages.map(({ patchSize }) => patchSize)).toEqual([4, 1]);
    expect(train.tokens).toBeGreaterThan(batch.tokensPerStep!);
    mkdirSync(path("data/sotu"), { recursive: true });
    const tokens = Array.from({ length: 30_000 }, (_, index) => (index * index) % 4096);
    await writeShard(path("data/sotu/train_000000.bin"), tokens);
    await writeShard(path("data/sotu/val_000000.bin"), tokens.slice(0, 1000));
    writeFileSync(path("config.yaml"), config);
    const flags = ["--set", "train={steps: 3}", "--set", "batch.tokensPerStep=4096", "--device", "cpu", "--json"];
    const { code, stdout, stderr } = await nextpatch("train", "config.yaml", ...flags);
    expect([code, code === 0 ? "" : stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({ run: "runs/sotu-tiny", steps: 3, tokens: 12288 });
  });

  it("shows a program that compiles and runs", async () => {
    const text = Array.from({ length: 4000 }, (_, i) => `Sentence ${i} of ${(i * 7919).toString(36)}.`).join("\n\n");
    writeFileSync(path("text.txt"), text);
    // The same program on a smaller scale.
    const shape = "{ ...presets.tiny, vocab_size: 300, num_hidden_layers: 1 }";
    const program = block("ts")
      .replace("4096", "300")
      .replace('{ preset: "tiny" }', shape)
      .replace("{ epochs: 1 }", '{ steps: 4 }, device: "cpu"')
      .replace("prepareDataset,", "prepareDataset, presets,");
    writeFileSync(path("program.ts"), program);
    const options = { target: "es2022", module: "nodenext", strict: true, skipLibCheck: true, types: ["node"] };
    const files = [path("program.ts")];
    writeFileSync(path("tsconfig.json"), JSON.stringify({ compilerOptions: { ...options, rootDir: "." }, files }));
    const run = promisify(execFile);
    const { NODE_OPTIONS: _, ...env } = process.env;
    const where = { cwd: path(""), env };
    await run(process.execPath, [root("node_modules/typescript/bin/tsc"), "-p", path("tsconfig.json")], where);
    const { stdout } = await run(process.execPath, [path("program.js")], where);
    expect(stdout).toMatch(/^step 1: \d\.\d+$/m);
    expect(stdout).toMatch(/^step 4: \d\.\d+$/m);
    expect(stdout).toMatch(/^perplexity \d+/m);
  });
});
