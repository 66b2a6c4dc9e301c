/**
 * The device's time of every operation of one real training step, for bench/gpu.sh quick:
 *
 *     NEXTPATCH_GRAPHS=0 npx tsx bench/gpu/quick/operations.ts cuda llama-370m 1 2048 32768
 *
 * with a preset or a model's JSON, K, T and the step's tokens. Every operation of the addon is followed by a timestamp
 * on the device; an operation's time is that since the timestamp before it, so the gaps between kernels are in it. The
 * step is the last of three. Prints one JSON object.
 */
import { benchTrainStep } from "../../../lib/bench/train_step.js";
import { Device } from "../../../lib/device.js";
import { parseLlamaConfig } from "../../../lib/hf/config.js";
import { type PresetName, presetNames, presets } from "../../../lib/hf/presets.js";
import { limits } from "../../../lib/limits.js";
import { native } from "../../../lib/native.js";
import { operationNames } from "./operation_names.js";

/** What `native` is here: operations by name, to be replaced. */
type Operations = Record<string, (...args: unknown[]) => unknown>;

const [backend, model, patchSize, sequenceLength, tokensPerStep] = process.argv.slice(2);
const preset = (presetNames as readonly string[]).includes(model!) ? (model as PresetName) : null;
const section = preset === null ? (JSON.parse(model!) as Record<string, unknown>) : { preset };
const config = parseLlamaConfig(preset === null ? section : presets[preset], "model");
const device = Device.open(backend as "cuda" | "simt");
const nameOf = operationNames(config);

/** The step's own clock takes the first slots: a mark for every part of every pass. */
const firstSlot = 256;
for (let slot = 0; slot < firstSlot; slot++) device.mark(slot);
let names: string[] = [];
/** The timestamp before the operations so far. */
const mark = () => {
  const slot = firstSlot + names.length;
  if (slot >= limits.markSlots) throw new Error(`a step has more than ${limits.markSlots - firstSlot} operations`);
  device.mark(slot);
};
const operations = native as unknown as Operations;
for (const [name, { returns }] of Object.entries(native.signatures())) {
  if (returns !== "void") continue;
  const operation = operations[name]!;
  operations[name] = (...args) => {
    if (names.length === 0) mark();
    operation(...args);
    names.push(nameOf(name, args));
    mark();
  };
}

let last: string[] = [];
const result = await benchTrainStep(device, {
  model: section,
  patchSize: Number(patchSize),
  sequenceLength: Number(sequenceLength),
  tokensPerStep: Number(tokensPerStep),
  precision: "auto",
  steps: 1,
  onStep() {
    [last, names] = [names, []];
  },
});
const times = await device.marks(firstSlot + last.length + 1);
const rows = new Map<string, { calls: number; seconds: number }>();
last.forEach((name, index) => {
  const row = rows.get(name) ?? { calls: 0, seconds: 0 };
  row.calls++;
  row.seconds += times[firstSlot + index + 1]! - times[firstSlot + index]!;
  rows.set(name, row);
});
const sorted = [...rows].map(([name, row]) => ({ name, ...row })).sort((a, b) => b.seconds - a.seconds);
process.stdout.write(
  `${JSON.stringify({
    model: preset ?? "tiny",
    patchSize: Number(patchSize),
    tokens: Number(tokensPerStep),
    secondsPerStep: result.secondsPerStep,
    operations: sorted,
  })}\n`,
);
