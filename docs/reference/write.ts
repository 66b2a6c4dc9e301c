/**
 * Writes docs/api, the reference of the public API, from the doc comments of the sources: `npm run reference`, or with
 * `-- --check` compares it with what it would write.
 *
 * typedoc needs an older TypeScript than the package has. Both are installed in a folder of their own, when they are
 * first needed; package.json and package-lock.json beside this file say which.
 */
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { builtDist } from "../../test/support/built_package.js";
import { fingerprint } from "./fingerprint.js";
import { exportsOf, pageNames } from "./pages.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const tools = fileURLToPath(new URL("../../.cache/reference", import.meta.url));
const written = fileURLToPath(new URL("../api", import.meta.url));

/** Installs typedoc as package-lock.json says, unless it is there. */
function install(): void {
  mkdirSync(tools, { recursive: true });
  const lock = "package-lock.json";
  const current = (file: string) => (existsSync(file) ? readFileSync(file, "utf8") : "");
  const done = join(tools, "node_modules", lock);
  if (current(done) !== current(join(here, lock))) {
    for (const file of ["package.json", lock]) copyFileSync(join(here, file), join(tools, file));
    const { NODE_OPTIONS: _, ...env } = process.env;
    execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: tools, env, stdio: "pipe" });
    copyFileSync(join(here, lock), done);
  }
  // It imports what is installed, so it has to lie beside it.
  copyFileSync(join(here, "theme.mjs"), join(tools, "theme.mjs"));
}

/** The pages by their file names. */
function pages(): Map<string, string> {
  const out = mkdtempSync(join(tmpdir(), "nextpatch-reference-"));
  try {
    const typedoc = join(tools, "node_modules/typedoc/bin/typedoc");
    const options = ["--options", join(here, "typedoc.json"), "--out", out, "--logLevel", "Warn"];
    // Its warnings, of links and tags that do not fit, are on stderr, where --check is silent.
    execFileSync(process.execPath, [typedoc, ...options], { stdio: ["ignore", 2, "inherit"] });
    const dist = builtDist();
    return new Map(
      readdirSync(out)
        .filter((file) => file.endsWith(".md"))
        .sort()
        .map((file) => {
          const name = file.slice(0, -".md".length);
          const of = pageNames.includes(name) ? `, from declarations ${fingerprint(dist, exportsOf(name))}` : "";
          const [title, ...rest] = readFileSync(join(out, file), "utf8")
            .replace(/[ \t]+$/gm, "")
            .trimEnd()
            .split("\n");
          return [file, [title, "", `<!-- Written by \`npm run reference\`${of}. -->`, ...rest, ""].join("\n")];
        }),
    );
  } finally {
    rmSync(out, { recursive: true });
  }
}

install();
const wanted = pages();
if (process.argv.includes("--check")) {
  const there = readdirSync(written);
  const wrong = [...new Set([...there, ...wanted.keys()])].filter(
    (file) => !there.includes(file) || readFileSync(join(written, file), "utf8") !== wanted.get(file),
  );
  if (wrong.length > 0) {
    process.stderr.write(`not what npm run reference writes: ${wrong.map((file) => `docs/api/${file}`).join(", ")}\n`);
    process.exitCode = 1;
  }
} else {
  rmSync(written, { recursive: true, force: true });
  mkdirSync(written);
  for (const [file, text] of wanted) writeFileSync(join(written, file), text);
}
