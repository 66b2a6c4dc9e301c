/** A fuzzer of the public functions: valid calls, with some of their arguments and options changed. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { publicCalls } from "../support/public_calls.js";
import type { PublicCall } from "../support/wrong_arguments.js";
import { publicValues, Thrown } from "./public_values.js";
import { type FuzzTarget, fuzzTarget } from "./target.js";

/** Milliseconds after which work that may rightly take long is ended, by its signal or by a callback that throws. */
const enough = 300;

interface Edit {
  /** An argument or an option; the options' own name: all of them. */
  readonly at: string;
  readonly value: string;
  readonly pick: number;
}

interface Call {
  readonly name: string;
  /** Among the functions' calls, of which one may have several. */
  readonly index: number;
  readonly edits: readonly Edit[];
}

/** `close` deletes its files. */
export async function publicFunctionsTarget(): Promise<{ target: FuzzTarget; close: () => void }> {
  const folder = mkdtempSync(join(tmpdir(), "nextpatch-fuzz-"));
  // Where a text that is no path would be a file.
  process.chdir(folder);
  const known = await publicCalls(folder);
  const called = known.map((call, index) => inputsOf(call, index));
  const kept = new Set(known.flatMap(valuesOf));
  const take = async ({ index, edits }: Call): Promise<void> => release(await invoke(known[index]!, edits), kept);
  const target = fuzzTarget("public-functions", fc.oneof(...called), take, {
    ofArguments: true,
    others: [Thrown.name, "ComparisonInterrupted", "AbortError", "TimeoutError"],
  });
  return { target, close: () => rmSync(folder, { recursive: true, force: true }) };
}

function inputsOf({ name, arguments: args, options }: PublicCall, index: number): fc.Arbitrary<Call> {
  const places = [...Object.keys(args), ...(options ? [options.name, ...Object.keys(options.of)] : [])];
  const edit = fc.record({
    at: fc.constantFrom(...places),
    value: fc.constantFrom(...Object.keys(publicValues)),
    pick: fc.nat(1023),
  });
  return fc.record({
    name: fc.constant(name),
    index: fc.constant(index),
    edits: fc.array(edit, { minLength: 1, maxLength: 4 }),
  });
}

/** @throws whatever the function refuses with */
function invoke({ arguments: args, options, call }: PublicCall, edits: readonly Edit[]): unknown {
  const positional = new Map(Object.entries(args).map(([name, { value }]) => [name, value]));
  const given: Record<string, unknown> = {};
  const begun = performance.now();
  for (const [name, { value }] of Object.entries(options?.of ?? {})) {
    if (name === "signal") given[name] = AbortSignal.timeout(enough);
    else if (/^on[A-Z]|^log$/.test(name)) given[name] = () => stopAfter(begun);
    else given[name] = value;
  }
  const all = [...positional.values(), ...Object.values(given)];
  let last: unknown = given;
  for (const { at, value, pick } of edits) {
    const make = (right: unknown) => publicValues[value]!({ value: right, all, pick });
    if (positional.has(at)) positional.set(at, make(positional.get(at)));
    else if (at === options?.name) last = make(given);
    else given[at] = make(given[at]);
  }
  return (call as (...values: unknown[]) => unknown)(...positional.values(), ...(options ? [last] : []));
}

function stopAfter(begun: number): void {
  if (performance.now() - begun > enough) throw new Thrown("thrown by a callback");
}

function valuesOf({ arguments: args, options }: PublicCall): unknown[] {
  return [...Object.values(args), ...Object.values(options?.of ?? {})].map(({ value }) => value);
}

/** Gives back what a call returned, tensors and models, but for what later calls need. */
async function release(result: unknown, kept: ReadonlySet<unknown>): Promise<void> {
  if (typeof result !== "object" || result === null) return;
  for (const each of [result, ...Object.values(result)] as { dispose?: () => void; return?: () => unknown }[]) {
    if (kept.has(each)) continue;
    if (typeof each?.dispose === "function") each.dispose();
    if (typeof each?.return === "function") await each.return();
  }
}
