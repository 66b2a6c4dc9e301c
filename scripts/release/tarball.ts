/** Tarballs: written by npm, read back as a registry's users get them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filesBelow } from "./native_manifest.js";
import { readPackageJson } from "./package_json.js";
import { tarballName } from "./platforms.js";

/** Packs a folder. @returns the tarball's path */
export function pack(folder: string, out: string): string {
  // `--pack-destination` goes with any npm; its output does not.
  execFileSync("npm", ["pack", "--ignore-scripts", "--pack-destination", out], {
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const { name, version } = readPackageJson(folder);
  return join(out, tarballName(name, version));
}

/** An unpacked tarball. */
export interface Unpacked {
  readonly folder: string;
  readonly files: readonly string[];
  readonly packedBytes: number;
  readonly unpackedBytes: number;
}

/** Unpacks a tarball while `read` looks at it. */
export function withUnpacked<T>(tarball: string, read: (unpacked: Unpacked) => T): T {
  const temporary = mkdtempSync(join(tmpdir(), "nextpatch-tarball-"));
  try {
    execFileSync("tar", ["-xzf", tarball, "-C", temporary]);
    const folder = join(temporary, "package");
    const files = filesBelow(folder);
    const unpackedBytes = files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    return read({ folder, files, packedBytes: statSync(tarball).size, unpackedBytes });
  } finally {
    rmSync(temporary, { recursive: true });
  }
}
