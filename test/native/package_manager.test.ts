/** What to type, for the package manager at hand. */
import { mkdirSync, writeFileSync } from "node:fs";
import { expect, it } from "@jest/globals";
import {
  commandLine,
  installLine,
  optionalLine,
  packageManager,
  reinstallLine,
} from "../../lib/native/package_manager.js";
import { temporaryFolder } from "../support/temporary.js";

const folder = temporaryFolder();

it.each([
  ["npm/11.1.0 node/v24.1.0 linux x64", "npm"],
  ["pnpm/10.2.0 npm/? node/v22.0.0 linux x64", "pnpm"],
  ["yarn/4.6.0 npm/? node/v20.0.0 linux x64", "yarn"],
  ["bun/1.2.0 npm/? node/v22.0.0 linux x64", "bun"],
])("is the one that started the process: %s", (agent, manager) => {
  writeFileSync(folder("yarn.lock"), "");
  expect(packageManager(folder(), agent)).toBe(manager);
});

it.each([
  ["package-lock.json", "npm"],
  ["pnpm-lock.yaml", "pnpm"],
  ["yarn.lock", "yarn"],
  ["bun.lock", "bun"],
  ["bun.lockb", "bun"],
])("is else the one of the nearest %s", (file, manager) => {
  const inside = folder("project/node_modules/nextpatch");
  mkdirSync(inside, { recursive: true });
  writeFileSync(folder("package-lock.json"), "");
  writeFileSync(folder(`project/${file}`), "");
  expect(packageManager(inside, "")).toBe(manager);
});

it("is npm where nothing says", () => {
  expect(packageManager(folder(), "")).toBe("npm");
});

it("has its own words", () => {
  const lines = (["npm", "pnpm", "yarn", "bun"] as const).map((manager) => [
    installLine("a@1", "/p/node_modules/nextpatch", manager),
    reinstallLine("a@1", "node_modules/a", manager),
    commandLine("build", "/p/node_modules/nextpatch", manager),
  ]);
  expect(lines).toEqual([
    ["npm install a@1", "rm -r node_modules/a && npm install", "npx nextpatch build"],
    ["pnpm add a@1", "pnpm install --force", "pnpm exec nextpatch build"],
    ["yarn add a@1", "rm -r node_modules && yarn install", "yarn nextpatch build"],
    ["bun add a@1", "rm -r node_modules/a && bun install", "bunx nextpatch build"],
  ]);
});

it("installs beside a package that npm installed for the whole machine", () => {
  const root = folder("lib/node_modules/nextpatch");
  mkdirSync(root, { recursive: true });
  expect(installLine("a@1", root, "npm")).toBe("npm install --global a@1");
  expect(commandLine("build", root, "npm")).toBe("nextpatch build");
});

it("brings what was left out", () => {
  const inside = folder("left/out");
  mkdirSync(inside, { recursive: true });
  expect(optionalLine(inside, "npm")).toBe("npm install --include=optional");
  expect(optionalLine(inside, "pnpm")).toBe("pnpm install");
  const global = folder("usr/lib/node_modules/nextpatch");
  mkdirSync(global, { recursive: true });
  expect(optionalLine(global, "npm")).toBe("npm install --global nextpatch --include=optional");
});
