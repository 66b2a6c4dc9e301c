/**
 * Faults around the built command, each of which must come to what docs/reliability.md says of it:
 *
 *     npm run test:faults [-- NAME…]      (the faults whose names begin with one of these)
 */

import { setTimeout } from "node:timers/promises";
import { faults } from "./faults.js";
import { build, Place } from "./place.js";

/** Milliseconds after which a fault counts as one that never ends. */
const LONGEST = 3_600_000;

const names = process.argv.slice(2);
const wanted = faults.filter(({ name }) => names.length === 0 || names.some((each) => name.startsWith(each)));
if (wanted.length === 0) {
  process.stderr.write(`no such fault; there are: ${faults.map(({ name }) => name).join(", ")}\n`);
  process.exit(2);
}

const built = build();
const failures: string[] = [];
for (const { name, run } of wanted) {
  const start = performance.now();
  const place = await Place.make(built);
  const late = setTimeout(LONGEST, null, { ref: false }).then(() => {
    throw new Error(`no end after ${LONGEST / 60_000} minutes`);
  });
  const outcome = await Promise.race([run(place), late]).then(
    (said) => `ok    ${name}${said === undefined ? "" : `: ${said}`}`,
    (error: Error) => {
      failures.push(name);
      return `FAIL  ${name}: ${error.stack}`;
    },
  );
  await place.remove();
  process.stdout.write(`${((performance.now() - start) / 1000).toFixed(1).padStart(6)} s  ${outcome}\n`);
}
built.remove();
process.stdout.write(
  failures.length === 0 ? `all ${wanted.length} faults ended as they must\n` : `failed: ${failures}\n`,
);
process.exitCode = failures.length === 0 ? 0 : 1;
