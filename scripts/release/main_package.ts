/** The main package: TypeScript's output, the sources to compile where no platform package fits, and the manual. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mainPackageJson, readPackageJson, root } from "./package_json.js";
import { checkSize, type PackedPackage } from "./packed_package.js";
import { megabyte, platforms } from "./platforms.js";
import { pack, type Unpacked, withUnpacked } from "./tarball.js";

const maxPackedBytes = 1 * megabyte;

/** What must be there, whatever else changes. */
const required = [
  "LICENSE",
  "README.md",
  "CHANGELOG.md",
  "binding.d.ts",
  "CMakeLists.txt",
  "native/kernels.h",
  "dist/index.js",
  "dist/index.d.ts",
  "dist/index.mjs",
  "dist/index.d.mts",
  "dist/kernels.js",
  "dist/kernels.d.ts",
  "dist/kernels.mjs",
  "dist/kernels.d.mts",
  "dist/cli/main.js",
  "schema.json",
  "docs/config.md",
  "docs/install.md",
  "docs/method.md",
  "examples/README.md",
] as const;

/** Files that users have a use for. */
const allowed = [
  /^(LICENSE|README\.md|CHANGELOG\.md|package\.json|schema\.json|CMakeLists\.txt|binding\.d\.ts)$/,
  /^dist\/(.*\.js|.*\.d\.ts|[^/]+\.mjs|[^/]+\.d\.mts|package\.json)$/,
  /^native\/(?!simt\/)/,
  /^docs\/((guides\/)?[^/]+\.md|images\/.*|results\/.*\.(md|png))$/,
  // What the pages link to.
  /^bench\/(results\/.*\.(md|txt|json)|peers\/README\.md)$/,
  /^examples\//,
];

/** Builds and packs it. */
export function packMain(out: string): PackedPackage {
  execFileSync("npm", ["run", "build:ts"], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  const own = readPackageJson(root);
  const stage = mkdtempSync(join(tmpdir(), "nextpatch-main-"));
  try {
    const listed = own.files.filter((entry) => !entry.startsWith("!")).map((entry) => entry.split("/")[0]!);
    for (const name of new Set([...listed, "README.md", "LICENSE"])) {
      cpSync(join(root, name), join(stage, name), { recursive: true });
    }
    writeFileSync(join(stage, "package.json"), `${JSON.stringify(mainPackageJson(own), null, 2)}\n`);
    const tarball = pack(stage, out);
    return withUnpacked(tarball, (unpacked) => ({
      name: own.name,
      version: own.version,
      tarball,
      packedBytes: unpacked.packedBytes,
      unpackedBytes: unpacked.unpackedBytes,
      glibc: null,
      builtFrom: "dist, native and docs",
      problems: problems(unpacked, own.version),
    }));
  } finally {
    rmSync(stage, { recursive: true });
  }
}

function problems({ folder, files, packedBytes }: Unpacked, version: string): string[] {
  const manifest = readPackageJson(folder);
  const optional = manifest.optionalDependencies as Readonly<Record<string, string>>;
  return [
    ...checkSize(packedBytes, maxPackedBytes),
    ...required.filter((name) => !files.includes(name)).map((name) => `it lacks ${name}`),
    ...files.filter((name) => !allowed.some((pattern) => pattern.test(name))).map((name) => `it has ${name}`),
    ...["scripts", "devDependencies", "os"].filter((key) => key in manifest).map((key) => `package.json has ${key}`),
    ...platforms
      .filter(({ name, withMain }) => withMain && optional[name] !== version)
      .map(({ name }) => `optionalDependencies: expected ${name} ${version} but received ${optional[name]}`),
  ];
}
