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

// The program, of fewer steps.
const sentences = Array.from({ length: 4000 }, (_, i) => `Sentence ${i} of ${(i * 7919).toString(36)}.`);
writeFileSync("text.txt", sentences.join("\n\n"));
writeFileSync("my.mts", block("ts", section).replace("4096", "300").replace("{ epochs: 1 }", "{ steps: 4 }"));
console.log(type("npx tsx my.mts"));

for (const example of ["loop", "kernels"]) {
  console.log(type(`npx tsx node_modules/nextpatch/examples/${example}.ts`));
}
console.log(type("sh node_modules/nextpatch/examples/corpora.sh sotu"));
console.log(
  `used: loss ${/validation loss (\S+)/.exec(type("npx tsx node_modules/nextpatch/examples/quickstart.ts"))[1]}`,
);
