/**
 * Where JavaScript runs: the packed package, installed once, is used by a small program in each environment of
 * test/package/environments, which are in folders of their own; their tools come from npm by name.
 *
 *   npm run test:environments [-- --quick] [--only jest,next] [--release FOLDER] [--built FOLDER] [--write]
 *
 * --quick: the part that takes two minutes. --release: the tarballs are there, from `npm run pack`. --built: as of
 * `npm run pack`. --write: what came of it into environments/results.json, from which `npm run docs` makes the table of
 * docs/install.md. NEXTPATCH_ENVIRONMENTS: a folder for the tools and the projects, to look at afterwards.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { transformSync } from "@swc/core";
import type { EnvironmentResult } from "../../docs/environments_table.js";

/** environments/NAME/environment.json */
interface Environment {
  readonly title: string;
  /** Packages that are installed for it, as npm takes them. */
  readonly tools: readonly string[];
  /** The tool whose version is told; none: Node's. */
  readonly of?: string;
  /** Versions of Node that it is run with; none: that of this process, and no row says so. */
  readonly node?: readonly string[];
  /** Commands of a shell; each must print what use.ts returns. */
  readonly run: readonly string[];
  /** Whether it is in the quick part. */
  readonly quick: boolean;
  /** It has the package in its own folder, not in one above. */
  readonly own?: boolean;
  /** What a user of it has to do, for the manual. */
  readonly note?: string;
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const fixtures = join(root, "test/package/environments");
const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    release: { type: "string" },
    built: { type: "string" },
    write: { type: "boolean", default: false },
  },
});
const only = values.only?.split(",");
const names = readdirSync(fixtures, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
for (const name of only ?? []) {
  if (!names.includes(name)) throw new Error(`--only: expected some of ${names.join(",")} but received ${name}`);
}

const kept = process.env.NEXTPATCH_ENVIRONMENTS;
const folder = kept === undefined ? mkdtempSync(join(tmpdir(), "nextpatch-environments-")) : resolve(kept);
const project = join(folder, "project");
const { NODE_OPTIONS: _, ...environment } = process.env;

function npmInstall(where: string, packages: readonly string[]): void {
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--no-package-lock"];
  execFileSync("npm", ["install", ...flags, ...packages], {
    cwd: where,
    env: environment,
    stdio: ["ignore", "ignore", "inherit"],
  });
}

/** The tarballs to install, which are packed here unless they are given. */
function tarballs(): string[] {
  const platform = `linux-${process.arch}`;
  let release = values.release === undefined ? null : resolve(values.release);
  if (release === null) {
    release = join(folder, "release");
    const built = values.built === undefined ? [] : ["--built", resolve(values.built)];
    const args = ["run", "--silent", "pack", "--", "--out", release, "--only", platform, ...built];
    execFileSync("npm", args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  }
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const files = ["nextpatch", `nextpatch-${platform}`].map((name) => join(release, `${name}-${version}.tgz`));
  for (const file of files) if (!existsSync(file)) throw new Error(`expected ${file} but there is none`);
  return files;
}

/** The folder with the command of a version of Node, which npm has as a package. */
function nodeFolder(version: string): string {
  const where = join(folder, "node", version);
  const name = `node-linux-${process.arch}`;
  if (!existsSync(join(where, "node_modules", name))) {
    mkdirSync(where, { recursive: true });
    npmInstall(where, [`${name}@${version}`]);
  }
  return join(where, "node_modules", name, "bin");
}

/** use.ts as JavaScript of both kinds. */
function writeUse(where: string): void {
  const source = readFileSync(join(fixtures, "use.ts"), "utf8");
  for (const [file, type] of [
    ["use.mjs", "es6"],
    ["use.cjs", "commonjs"],
  ] as const) {
    const options = { jsc: { parser: { syntax: "typescript" }, target: "es2022" }, module: { type } } as const;
    writeFileSync(join(where, file), transformSync(source, options).code);
  }
}

const versionOf = (where: string, name: string): string =>
  (JSON.parse(readFileSync(join(where, "node_modules", name, "package.json"), "utf8")) as { version: string }).version;

/** Runs an environment with one version of Node. Null: it works; else what it printed. */
function failure(where: string, run: readonly string[], node: string | null): string | null {
  const path = [join(where, "node_modules/.bin"), environment.PATH];
  if (node !== null) path.unshift(node);
  const work = mkdtempSync(join(folder, "work-"));
  const env = { ...environment, PATH: path.join(delimiter), TMPDIR: work, CI: "1", NEXT_TELEMETRY_DISABLED: "1" };
  try {
    for (const command of run) {
      const { status, stdout, stderr } = spawnSync("sh", ["-c", command], {
        cwd: where,
        env,
        encoding: "utf8",
        timeout: 1_200_000,
      });
      if (status !== 0 || !stdout.concat(stderr).includes("used: loss ")) {
        return `${command}: exit code ${status}\n${stdout}${stderr}`;
      }
    }
    return null;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const rows: EnvironmentResult[] = [];
try {
  mkdirSync(project, { recursive: true });
  writeFileSync(join(project, "package.json"), '{ "private": true, "type": "module" }\n');
  const packages = tarballs();
  npmInstall(project, packages);
  for (const name of only ?? names) {
    const settings = JSON.parse(readFileSync(join(fixtures, name, "environment.json"), "utf8")) as Environment;
    if (values.quick && !settings.quick) continue;
    const where = join(project, name);
    cpSync(join(fixtures, name), where, { recursive: true });
    if (!existsSync(join(where, "package.json"))) cpSync(join(project, "package.json"), join(where, "package.json"));
    writeUse(where);
    const tools = [...settings.tools, ...(settings.own ? packages : [])];
    if (tools.length > 0) npmInstall(where, tools);
    const tool = settings.of === undefined ? null : versionOf(where, settings.of);
    for (const version of settings.node ?? [null]) {
      const node = version === null ? null : nodeFolder(version);
      const nodeVersion =
        node === null ? null : execFileSync(join(node, "node"), ["--version"], { encoding: "utf8" }).trim().slice(1);
      const started = performance.now();
      const problem = failure(where, settings.run, node);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      const described = [settings.title, tool, nodeVersion && `Node ${nodeVersion}`].filter((part) => part !== null);
      console.log(`${problem === null ? "ok  " : "FAIL"} environments: ${described.join(", ")} (${seconds} s)`);
      if (problem !== null) {
        console.log(problem);
        process.exitCode = 1;
      }
      const works = problem === null;
      const date = new Date().toISOString().slice(0, 10);
      rows.push({ title: settings.title, tool, node: nodeVersion, works, date, note: settings.note ?? "" });
    }
  }
  if (values.write) {
    // Rows of what was not tried now stay.
    const file = join(fixtures, "results.json");
    const before = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as EnvironmentResult[]) : [];
    const others = before.filter(({ title }) => !rows.some((row) => row.title === title));
    writeFileSync(file, `${JSON.stringify([...others, ...rows], null, 2)}\n`);
  }
} finally {
  if (kept === undefined) rmSync(folder, { recursive: true, force: true });
}
