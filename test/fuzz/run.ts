/**
 * `npm run fuzz -- [NAME…] [--seconds N] [--seed S]`: gives what reads files, and the native operations, almost valid inputs, at random, and holds that each is
 * accepted, or refused by one of the package's errors, shortly and quickly. The first that is not is made smaller, and
 * printed with the seed that finds it again.
 */
import { parseArgs } from "node:util";
import fc from "fast-check";
import { argumentTarget } from "./arguments.js";
import { fileTargets } from "./files.js";
import { type FuzzTarget, hold } from "./target.js";

const { values: flags, positionals: names } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, seed: { type: "string" } },
  allowPositionals: true,
});
const seconds = Number(flags.seconds);
const seed = flags.seed === undefined ? Date.now() % 2 ** 31 : Number(flags.seed);

/** Mebibytes that the process may grow by over one target, once it is warm. */
const growth = 256;

function shown(input: unknown): string {
  if (input instanceof Uint8Array) return Buffer.from(input).toString("base64");
  return typeof input === "string" ? input.slice(0, 2000) : fc.stringify(input);
}

async function fuzz(target: FuzzTarget, milliseconds: number): Promise<boolean> {
  const end = performance.now() + milliseconds;
  const counts = { accepted: 0, refused: 0 };
  const property = fc.asyncProperty(target.inputs, async (input) => {
    counts[(await hold(target, input)) ? "accepted" : "refused"]++;
  });
  let warm = 0;
  for (let round = 0; performance.now() < end; round++) {
    const result = await fc.check(property, { seed: seed + round, numRuns: 200, endOnFailure: false });
    if (result.failed) {
      const [input] = result.counterexample ?? [];
      console.log(`FAILED ${target.name} --seed ${seed + round}: ${(result.errorInstance as Error).message}`);
      console.log(shown(input));
      return false;
    }
    const resident = process.memoryUsage().rss / 2 ** 20;
    if (round === 4) warm = resident;
    if (round > 4 && resident > warm + growth) {
      console.log(`FAILED ${target.name} --seed ${seed}: grew from ${warm.toFixed(0)} to ${resident.toFixed(0)} MiB`);
      return false;
    }
  }
  console.log(`ok     ${target.name}: ${counts.accepted} accepted, ${counts.refused} refused`);
  return true;
}

const { targets: files, close } = await fileTargets();
const targets = [...files, argumentTarget("cpu"), argumentTarget("simt")];
const chosen = names.length === 0 ? targets : targets.filter(({ name }) => names.includes(name));
if (chosen.length === 0) throw new RangeError(`expected ${targets.map(({ name }) => name).join(", ")}`);
console.log(`fuzzing for ${seconds} s, --seed ${seed}`);
let failed = 0;
for (const target of chosen) if (!(await fuzz(target, (1000 * seconds) / chosen.length))) failed++;
close();
if (failed > 0) process.exitCode = 1;
