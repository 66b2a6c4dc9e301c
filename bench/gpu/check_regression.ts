/**
 * Fails if a kernel's ratio to PyTorch in the same run is more than 10 per cent worse than the committed one:
 *
 *     npx tsx bench/gpu/check_regression.ts NEW.json [--committed bench/results]
 *
 * The committed figures are in the folder's file of the same name, which is the device's. If there is none, there is
 * nothing to compare with: it says so and succeeds.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { regressions } from "./regression.js";
import type { GpuResult } from "./result.js";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { committed: { type: "string", default: "bench/results" } },
});
const [file] = positionals;
if (file === undefined || positionals.length > 1) {
  process.stderr.write("check-regression: expected one result, as bench/gpu.sh writes it\n");
  process.exit(2);
}
const committed = join(flags.committed, basename(file));
const read = (path: string) => JSON.parse(readFileSync(path, "utf8")) as GpuResult;
if (!existsSync(committed)) {
  process.stdout.write(`no figures of this device are committed: ${committed} would be the file\n`);
} else {
  const lines = regressions(read(committed), read(file));
  for (const line of lines) process.stderr.write(`slower: ${line}\n`);
  if (lines.length > 0) process.exitCode = 1;
  else process.stdout.write(`no kernel is slower than in ${committed}\n`);
}
