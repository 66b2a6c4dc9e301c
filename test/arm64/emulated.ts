/**
 * Every operation and a short training run, on one processor against what another computed. run.sh records on this
 * machine, and compares in an emulated one:
 *
 *   emulated.js record|compare FILE
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { shapeText } from "../../lib/bench/kernels/table.js";
import { allCalls } from "../../lib/check/calls/all.js";
import type { Call } from "../../lib/check/calls/call.js";
import { CallMemory, type Result, Script, sameBits } from "../../lib/check/memory.js";
import { compare } from "../../lib/check/tolerance.js";
import { Device } from "../../lib/device.js";
import { madeConfig, runTo, writeMadeData } from "../support/made_run.js";

/** What one processor computed. */
interface Recorded {
  readonly calls: readonly { readonly script: Script["carried"]; readonly results: readonly Result[] }[];
  readonly losses: readonly number[];
}

/** Losses of f32 runs differ by their sums' order; what a wrong kernel does to them is larger. */
const lossTolerance = 1e-5;

const device = new Device("cpu", 0, 2);
const calls = allCalls("small");

async function resultsOf(call: Call, script: Script): Promise<Result[]> {
  const memory = new CallMemory(device, script, "misaligned", "nan");
  try {
    await call.run(memory);
    return await memory.results();
  } finally {
    memory.dispose();
  }
}

/** The losses of two steps of patches and two of tokens. */
async function trainingLosses(): Promise<number[]> {
  const folder = mkdtempSync(join(tmpdir(), "nextpatch-arm64-"));
  try {
    await writeMadeData(folder);
    const changes = { train: { steps: 4 }, schedule: { warmupSteps: 1 }, eval: { everySteps: 4, sequences: 2 } };
    const lines = await runTo(madeConfig(folder, changes));
    return lines.map(({ loss }) => loss);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function record(): Promise<Recorded> {
  const recorded: Recorded["calls"][number][] = [];
  for (const call of calls) {
    const script = new Script();
    const results = await resultsOf(call, script);
    recorded.push({ script: script.carried, results });
  }
  return { calls: recorded, losses: await trainingLosses() };
}

/** What differs, a line each. */
async function differences(recorded: Recorded): Promise<string[]> {
  const found: string[] = [];
  for (const [i, call] of calls.entries()) {
    const { script, results } = recorded.calls[i]!;
    const again = () => Object.assign(new Script(), { carried: [...script] });
    const got = await resultsOf(call, again());
    const repeated = await resultsOf(call, again());
    const name = `${call.operation} ${call.dtype} ${shapeText(call.shape)}`;
    for (const [at, { data, dtype, shape, tolerance, name: result }] of got.entries()) {
      const { share, text } = compare(data, results[at]!.data, dtype, shape, tolerance);
      if (share > 1) found.push(`${name}: ${result}: ${text}`);
      if (!sameBits(data, repeated[at]!.data)) found.push(`${name}: ${result} differs from run to run`);
    }
  }
  const losses = await trainingLosses();
  for (const [step, loss] of losses.entries()) {
    const expected = recorded.losses[step]!;
    if (Math.abs(loss - expected) > lossTolerance * expected) found.push(`step ${step + 1}: ${loss}, not ${expected}`);
  }
  const repeated = await trainingLosses();
  if (losses.join() !== repeated.join()) found.push("training differs from run to run");
  return found;
}

const [mode, file] = process.argv.slice(2);
if (mode === "record") {
  writeFileSync(file!, serialize(await record()));
} else {
  const start = performance.now();
  const found = await differences(deserialize(readFileSync(file!)) as Recorded);
  for (const line of found) console.log(`FAIL ${line}`);
  const seconds = Math.round((performance.now() - start) / 1000);
  console.log(`${calls.length} calls and a training run, ${found.length} wrong, on ${device.name}: ${seconds} s`);
  process.exitCode = found.length === 0 ? 0 : 1;
}
