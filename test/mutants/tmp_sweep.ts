import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Bench } from "./bench.js";
import { type Check, races } from "./checks.js";
import type { Mutant } from "./mutant.js";
import { Sources } from "./sources.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const short = "(1|3|5|7|9|17|19|33|35|113|203) x";
const fw = races("operations/attention_forward", { filter: short });
const bw = races("operations/attention_backward", { filter: short });
const of = (file: string): Check => {
  const name = file.replace("native/cuda/", "");
  if (/attention\/(forward|plain_forward|shared_tile)/.test(name)) return fw;
  if (name.startsWith("attention/")) return bw;
  if (name.startsWith("patch_embedding")) return races("operations/patch_embedding");
  if (name.startsWith("block_reduce") || name.startsWith("sample"))
    return races("operations/sample", { filter: "cuts equal|applies top" });
  return races(`operations/${name.replace(/\.cuh?$/, "")}`);
};
const all: Mutant[] = [];
for (const name of readdirSync(join(root, "native/cuda"), { encoding: "utf8", recursive: true })) {
  if (!/\.cuh?$/.test(name) || name === "ptx.cuh") continue;
  const file = `native/cuda/${name}`;
  const lines = readFileSync(join(root, file), "utf8").split("\n");
  lines.forEach((line, i) => {
    if (!/^\s*(__syncthreads|__syncwarp|named_barrier)\(/.test(line)) return;
    const find = [lines[i - 2], lines[i - 1], line, lines[i + 1], lines[i + 2]].join("\n");
    const replace = [lines[i - 2], lines[i - 1], lines[i + 1], lines[i + 2]].join("\n");
    all.push({ fault: `${name}:${i + 1} ${line.trim()}`, file, find, replace, check: of(file), says: "race at byte" });
  });
}
const scratch = mkdtempSync(join(tmpdir(), "nextpatch-mutants-"));
const sources = await Sources.copy(root, scratch, [fw]);
const jobs = [...all];
await Promise.all(
  [0, 1].map(async (n) => {
    const bench = new Bench(root, join(scratch, `bench-${n}`));
    for (let m = jobs.shift(); m; m = jobs.shift()) {
      const { passed, output } = await bench.run(m.check, await sources.mutated(m), "");
      console.log(passed ? "PASSES" : output.includes("race at byte") ? "race" : "fails otherwise", m.fault);
    }
  }),
);
rmSync(scratch, { recursive: true, force: true });
