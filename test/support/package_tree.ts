/** A project with an installed nextpatch and packages of compiled files, real or fake. */
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { constants, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "@jest/globals";
import type { Package } from "../../lib/native/package.js";

export const repository = fileURLToPath(new URL("../..", import.meta.url));
export const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as { version: string };
const built = join(repository, "build/Release");

/** What `nextpatch.node` may be in a tree: the real one, or any bytes. */
export type Content = "real" | Buffer;

export class PackageTree {
  /** The package under test, as `readPackage` reads it. */
  readonly self: Package;

  constructor(readonly project: string) {
    this.self = { root: join(project, "node_modules/nextpatch"), version, clone: false };
    mkdirSync(this.self.root, { recursive: true });
    writeFileSync(join(project, "package.json"), "{}");
    writeFileSync(join(this.self.root, "package.json"), JSON.stringify({ name: "nextpatch", version }));
  }

  /** Adds a package: `linux-x64`, `linux-x64-cuda13`. Returns its folder. */
  add(name: string, manifest: { version?: string; glibc?: string } = {}): string {
    const folder = join(this.project, "node_modules/@nextpatch", name);
    mkdirSync(folder, { recursive: true });
    const packageJson = { name: `@nextpatch/${name}`, version: manifest.version ?? version };
    writeFileSync(join(folder, "package.json"), JSON.stringify(packageJson));
    const files = [{ name: "nextpatch.node", glibc: manifest.glibc ?? "2.34" }];
    writeFileSync(join(folder, "manifest.json"), JSON.stringify({ files }));
    return folder;
  }

  /** Adds the package of this machine, with an addon, and the CPU backends where it is the real one. */
  addPlatform(addon: Content, manifest?: { version?: string; glibc?: string }): string {
    const folder = this.add(`${process.platform}-${process.arch}`, manifest);
    putAddon(folder, addon);
    return folder;
  }

  /** Adds a local build with an addon. Returns its file. */
  addBuild(addon: Content): string {
    const folder = join(this.self.root, "build/Release");
    mkdirSync(folder, { recursive: true });
    putAddon(folder, addon);
    return join(folder, "nextpatch.node");
  }
}

function putAddon(folder: string, addon: Content): void {
  const file = join(folder, "nextpatch.node");
  if (addon !== "real") {
    writeFileSync(file, addon);
    return;
  }
  // A copy, since the addon looks for backends beside itself; those may be links.
  copyFileSync(join(built, "nextpatch.node"), file);
  for (const name of readdirSync(built)) {
    if (/^nextpatch_cpu_.*\.so$/.test(name)) symlinkSync(join(built, name), join(folder, name));
  }
}

let compiled: string | null = null;
afterAll(() => {
  if (compiled !== null) rmSync(dirname(compiled), { recursive: true, force: true });
});

/** test/native/fake_backend.cpp as a library, compiled once a file of tests. */
function fakeBackend(): string {
  if (compiled !== null) return compiled;
  const folder = mkdtempSync(join(tmpdir(), "nextpatch-fake-"));
  compiled = join(folder, "fake.so");
  const source = join(repository, "test/native/fake_backend.cpp");
  execFileSync("g++", ["-std=c++17", "-shared", "-fPIC", source, "-o", compiled]);
  return compiled;
}

/** Puts a fake backend (or addon, if it is never to be opened) in the place of a file. */
export function makeFakeBackend(file: string, { device = "", of = version, signal }: FakeBackend): void {
  mkdirSync(dirname(file), { recursive: true });
  rmSync(file, { force: true }); // what a link leads to stays
  copyFileSync(fakeBackend(), file);
  writeFileSync(`${file}.fake`, `${of}\n${device}\n${signal === undefined ? 0 : constants.signals[signal]}\n`);
}

/** What a fake backend is; without a device it has none, without a version it has this package's. */
export interface FakeBackend {
  readonly device?: string;
  readonly of?: string;
  readonly signal?: "SIGILL" | "SIGSEGV";
}
