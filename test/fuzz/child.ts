/** One fuzzer, in the process that run.ts starts for it: NAME MILLISECONDS SEED LONGEST [--show]. */
import fc from "fast-check";
import { hold } from "./target.js";
import { makeTarget, type Progress, toldFailure } from "./targets.js";

const [name, milliseconds, seed, longest, show] = process.argv.slice(2);

/** Mebibytes that the process may grow by, once it is warm. */
const growth = 256;

/** Inputs of a round, whose seed finds them again. */
const round = 100;

/** Milliseconds between two messages. */
const beat = 500;

function shown(input: unknown): string {
  if (input instanceof Uint8Array) return Buffer.from(input).toString("base64");
  return typeof input === "string" ? input.slice(0, 2000) : fc.stringify(input);
}

let told = 0;
function tell(progress: Progress): void {
  if (performance.now() < told + beat) return;
  told = performance.now();
  process.send?.(progress);
}

async function fuzz(): Promise<string | null> {
  const { target, close } = await makeTarget(name!);
  const counts = { accepted: 0, refused: 0 };
  const end = performance.now() + Number(milliseconds);
  let warm = 0;
  try {
    for (let rounds = 0; performance.now() < end; rounds++) {
      const own = Number(seed) + rounds;
      let tried = 0;
      const property = fc.asyncProperty(target.inputs, async (input) => {
        tell({ seed: own, tried: tried++ });
        if (show !== undefined) console.log(shown(input));
        counts[(await hold(target, input, Number(longest))) ? "accepted" : "refused"]++;
      });
      const result = await fc.check(property, { seed: own, numRuns: round, endOnFailure: false });
      if (result.failed) {
        const [input] = result.counterexample ?? [];
        return `${name} --seed ${own}: ${(result.errorInstance as Error).message}\n${shown(input)}`;
      }
      const resident = process.memoryUsage().rss / 2 ** 20;
      if (rounds === 8) warm = resident;
      if (rounds > 8 && resident > warm + growth) {
        return `${name} --seed ${seed}: grew from ${warm.toFixed(0)} to ${resident.toFixed(0)} MiB`;
      }
    }
  } finally {
    close();
  }
  console.log(`ok     ${name}: ${counts.accepted} accepted, ${counts.refused} refused`);
  return null;
}

const failure = await fuzz();
if (failure !== null) console.log(`FAILED ${failure}`);
process.exit(failure === null ? 0 : toldFailure);
