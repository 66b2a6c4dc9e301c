/**
 * The program of docs/guides/serve.md, as it stands, with a model of compare.ts:
 *
 *     tsx test/llama.cpp/guide.ts FOLDER_WITH_NODE_LLAMA_CPP MODEL.gguf
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { guides } from "../guides/guide.js";

const [, , folder, model] = process.argv as [string, string, string, string];
copyFileSync(model, join(folder, "pretrain.gguf"));
const steps = guides().find(({ name }) => name === "serve")!.steps;
const [program] = steps.filter((step) => step.kind === "file");
writeFileSync(join(folder, program!.name), program!.text);
const tsx = fileURLToPath(new URL("../../node_modules/tsx/dist/cli.mjs", import.meta.url));
const printed = execFileSync(process.execPath, [tsx, program!.name], { cwd: folder, encoding: "utf8" });
assert.match(printed, /\w/);
console.log(`docs/guides/serve.md: ${JSON.stringify(printed.trim())}`);
