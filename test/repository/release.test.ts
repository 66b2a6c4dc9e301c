/** What the packed packages say of themselves, and what is found wrong with them. */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { builtFrom, manifestProblems, type NativeManifest } from "../../scripts/release/native_manifest.js";
import { mainPackageJson, platformPackageJson, readPackageJson, root } from "../../scripts/release/package_json.js";
import { checkSize, newest } from "../../scripts/release/packed_package.js";
import { platforms, shortName, tarballName } from "../../scripts/release/platforms.js";
import { temporaryFolder } from "../support/temporary.js";

const own = readPackageJson(root);

describe("the main package's manifest", () => {
  const packed = mainPackageJson(own);

  it("runs nothing, goes on every system, and brings both CPU packages of its own version", () => {
    for (const key of ["scripts", "os", "cpu", "devDependencies", "overrides"]) expect(packed).not.toHaveProperty(key);
    expect(packed.optionalDependencies).toEqual({
      "@nextpatch/linux-x64": own.version,
      "@nextpatch/linux-arm64": own.version,
    });
    expect(packed).toMatchObject({ name: "nextpatch", version: own.version, dependencies: own.dependencies });
  });

  it("is not the repository's: npm ci would look for packages that are not published yet", () => {
    expect(own).not.toHaveProperty("optionalDependencies");
  });
});

describe.each(platforms)("the manifest of $name", (platform) => {
  it("goes where its binaries run, at the main package's version, and has no JavaScript", () => {
    const packed = platformPackageJson(own, platform, ["nextpatch.node"]);
    expect(packed).toMatchObject({ name: platform.name, version: own.version, os: ["linux"], cpu: [platform.cpu] });
    expect(packed).toMatchObject({ libc: ["glibc"], engines: own.engines, license: "Apache-2.0" });
    expect(packed.exports).toEqual({ "./package.json": "./package.json" });
    for (const key of ["main", "bin", "scripts", "dependencies"]) expect(packed).not.toHaveProperty(key);
  });
});

it("names are npm's", () => {
  expect(platforms.map(shortName)).toEqual(["linux-x64", "linux-arm64", "linux-x64-cuda13", "linux-x64-cuda12"]);
  expect(tarballName("@nextpatch/linux-x64", "1.2.3")).toBe("nextpatch-linux-x64-1.2.3.tgz");
  expect(tarballName("nextpatch", "1.2.3")).toBe("nextpatch-1.2.3.tgz");
});

describe("manifestProblems", () => {
  const folder = temporaryFolder();
  const contents = { "nextpatch.node": "an addon", "licenses/GPL-3": "a licence" };
  const manifest: NativeManifest = {
    package: "@nextpatch/linux-x64",
    version: "1.2.3",
    commit: "0123456789abcdef+",
    compiler: "c++ (Debian 12.2.0-14) 12.2.0",
    oneDNN: { version: "3.7.2" },
    cuda: null,
    files: Object.entries(contents).map(([name, text]) => ({
      name,
      bytes: text.length,
      sha256: createHash("sha256").update(text).digest("hex"),
    })),
  };
  beforeEach(() => {
    mkdirSync(folder("package/licenses"), { recursive: true });
    for (const [name, text] of Object.entries(contents)) writeFileSync(join(folder("package"), name), text);
    writeFileSync(folder("package/README.md"), "");
  });
  const problems = () => manifestProblems(folder("package"), manifest, ["README.md"]);

  it("finds nothing where every file is as it was built", () => expect(problems()).toEqual([]));

  it("finds another file in a library's place", () => {
    writeFileSync(folder("package/nextpatch.node"), "an Addon");
    expect(problems()).toEqual([
      expect.stringMatching(/^nextpatch\.node: expected the SHA-256 \w{64} but received \w{64}$/),
    ]);
  });

  it("finds what is missing, and what nothing says the origin of", () => {
    expect(manifestProblems(folder("package"), manifest, [])).toEqual(["manifest.json does not name README.md"]);
    const more = { ...manifest, files: [...manifest.files, { name: "more.so", bytes: 0, sha256: "" }] };
    expect(manifestProblems(folder("package"), more, ["README.md"])).toEqual(["it lacks more.so"]);
  });

  it("builtFrom says it in a few words", () => {
    expect(builtFrom(manifest)).toBe("012345678+, gcc 12.2.0, oneDNN 3.7.2");
    expect(builtFrom({ ...manifest, oneDNN: null, cuda: "13.0.88", commit: null })).toBe(
      "no commit, gcc 12.2.0, CUDA 13.0.88",
    );
  });
});

it("checkSize names both sizes", () => {
  expect(checkSize(999_999, 1_000_000)).toEqual([]);
  expect(checkSize(2_500_000, 1_000_000)).toEqual(["expected a tarball of less than 1.00 MB but received 2.50 MB"]);
});

it("newest counts 2.9 before 2.34", () => {
  expect(newest(["2.9", "2.34", "2.17"])).toBe("2.34");
  expect(newest([])).toBe(null);
});
