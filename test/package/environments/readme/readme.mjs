/** Types what the README of the installed package says, from an empty project to a text; then runs the examples. */
import { execSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

rmSync("project", { recursive: true, force: true });
mkdirSync("project");
const readme = readFileSync("node_modules/nextpatch/README.md", "utf8");
process.chdir("project");
const sections = readme.split(/^## /m);
const section = sections.find((text) => text.startsWith("Use it in your project"));
const block = (language, text) => new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(text)[1];

function type(line) {
  console.log(`$ ${line}`);
  return execSync(line, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

const lines = block("sh", section).replaceAll("\\\n", " ").trim().split("\n");
const [init, install, ...others] = lines;
console.log(type(init));
// What is installed for this test is the project's: the registry may not have this version.
cpSync("../node_modules", "node_modules", { recursive: true, verbatimSymlinks: true });
for (const name of install.split(" ").slice(2)) readFileSync(join("node_modules", name, "package.json"));
for (const line of others) console.log(type(line));

// The program, with a config as the README describes it, of fewer steps.
const sentences = Array.from({ length: 4000 }, (_, i) => `Sentence ${i} of ${(i * 7919).toString(36)}.`);
writeFileSync("text.txt", sentences.join("\n\n"));
writeFileSync("my.mts", block("ts", section).replace("4096", "300"));
const config = {
  name: "mine",
  $schema: "./node_modules/nextpatch/schema.json",
  model: { hidden_size: 64, intermediate_size: 96, num_hidden_layers: 1, num_attention_heads: 2, vocab_size: 300 },
  data: { train: "data/mine/train_*.bin", val: "data/mine/val_*.bin" },
  batch: { tokensPerStep: 1024, sequenceLength: 32 },
  train: { steps: 4 },
};
writeFileSync("config.json", JSON.stringify(config));
console.log(type("npx tsx my.mts"));

for (const example of ["loop", "kernels"]) {
  console.log(type(`npx tsx node_modules/nextpatch/examples/${example}.ts`));
}
console.log(type("sh node_modules/nextpatch/examples/corpora.sh sotu"));
console.log(
  `used: loss ${/validation loss (\S+)/.exec(type("npx tsx node_modules/nextpatch/examples/quickstart.ts"))[1]}`,
);
