/**
 * `npm run fuzz -- [NAME…] [--seconds N] [--seed S] [--longest MS] [--show]`: gives what reads files, the native
 * operations and the public functions almost valid inputs, at random, and holds that each is accepted, or refused by one of
 * the package's errors, shortly and quickly. Each target has a process of its own, so that one which crashes or hangs is
 * told, too.
 */
import { fork } from "node:child_process";
import { parseArgs } from "node:util";
import { type Progress, targetNames, toldFailure } from "./targets.js";

const { values: flags, positionals: names } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string" },
    longest: { type: "string", default: "5000" },
    show: { type: "boolean" },
  },
  allowPositionals: true,
});
const seconds = Number(flags.seconds);
const seed = flags.seed === undefined ? Date.now() % 2 ** 31 : Number(flags.seed);

/** Milliseconds after which a target that tries nothing new hangs. */
const silence = 60_000 + 2 * Number(flags.longest);

const unknown = names.find((name) => !targetNames.includes(name));
if (unknown !== undefined) throw new RangeError(`expected ${targetNames.join(", ")} but received ${unknown}`);
const chosen = names.length === 0 ? targetNames : names;
console.log(`fuzzing for ${seconds} s, --seed ${seed}`);
for (const name of chosen) if (!(await fuzz(name, (1000 * seconds) / chosen.length))) process.exitCode = 1;

/** Runs one target. Returns whether all went well. */
async function fuzz(name: string, milliseconds: number): Promise<boolean> {
  const args = [name, String(milliseconds), String(seed), flags.longest, ...(flags.show ? ["--show"] : [])];
  const child = fork(new URL("child.ts", import.meta.url), args, { execArgv: process.execArgv });
  let last = { seed, tried: 0 };
  let hangs = false;
  const stop = () => {
    hangs = true;
    child.kill("SIGKILL");
  };
  let timer = setTimeout(stop, silence);
  child.on("message", (progress: Progress) => {
    last = progress;
    clearTimeout(timer);
    timer = setTimeout(stop, silence);
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.once("exit", (code, signal) => resolve([code, signal])),
  );
  clearTimeout(timer);
  if (code === 0) return true;
  if (code !== toldFailure) {
    const how = hangs ? `tried nothing for ${silence / 1000} s` : `ended by ${signal ?? `exit code ${code}`}`;
    console.log(`FAILED ${name} --seed ${last.seed}: ${how}, about ${last.tried} inputs on; --show prints each first`);
  }
  return false;
}
