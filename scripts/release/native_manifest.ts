/** A platform package's manifest.json, which native.sh writes: what each file is, and what it was built from. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

export interface NativeManifest {
  readonly package: string;
  readonly version: string;
  /** A "+" at the end: with changes that were not committed. Null: not built in a clone. */
  readonly commit: string | null;
  readonly compiler: string;
  readonly oneDNN: { readonly version: string } | null;
  readonly cuda: string | null;
  readonly files: readonly {
    readonly name: string;
    readonly bytes: number;
    readonly sha256: string;
    /** Of libraries: the newest glibc whose symbols it uses. */
    readonly glibc?: string;
  }[];
}

export const readManifest = (folder: string): NativeManifest =>
  JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as NativeManifest;

/** What a package was built from, in a few words. */
export function builtFrom({ commit, compiler, oneDNN, cuda }: NativeManifest): string {
  const gcc = /(\d+(?:\.\d+)+)\s*$/.exec(compiler)?.[1];
  return [
    commit === null ? "no commit" : commit.replace(/^(\w{9})\w*/, "$1"),
    gcc === undefined ? compiler : `gcc ${gcc}`,
    ...(oneDNN === null ? [] : [`oneDNN ${oneDNN.version}`]),
    ...(cuda === null ? [] : [`CUDA ${cuda}`]),
  ].join(", ");
}

/** Files of a folder that differ from its manifest, or that the manifest does not name: a sentence each. */
export function manifestProblems(folder: string, manifest: NativeManifest, others: readonly string[]): string[] {
  const present = filesBelow(folder).filter((name) => name !== "manifest.json" && !others.includes(name));
  const named = new Map(manifest.files.map((file) => [file.name, file]));
  const problems = [...named.keys()].filter((name) => !present.includes(name)).map((name) => `it lacks ${name}`);
  for (const name of present) {
    const file = named.get(name);
    if (file === undefined) problems.push(`manifest.json does not name ${name}`);
    else {
      const hash = createHash("sha256")
        .update(readFileSync(join(folder, name)))
        .digest("hex");
      if (hash !== file.sha256) problems.push(`${name}: expected the SHA-256 ${file.sha256} but received ${hash}`);
    }
  }
  return problems;
}

/** Paths of all files below a folder, sorted. */
export const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { encoding: "utf8", recursive: true })
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort();
