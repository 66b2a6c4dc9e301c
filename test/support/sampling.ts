/** Draws of `sample` for tests. */
import type { Device } from "../../lib/device.js";
import { native, type Tensor } from "../../lib/native.js";
import type { ComputeDType } from "./backends.js";
import { Memory, values } from "./memory.js";

export interface SampleOptions {
  repetitionPenalty?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  seed?: number;
  counter?: number;
  /** The ids that occurred, the same for every row. */
  history?: readonly number[];
  streams?: readonly number[];
}

/** Enqueues one draw for each row of logits [rows, vocabulary]; the ids come in an i32 [rows]. */
export function enqueueSample(
  memory: Memory,
  dtype: ComputeDType,
  logits: Float64Array,
  rows: number,
  options: SampleOptions = {},
): Tensor<"i32"> {
  const { repetitionPenalty = 1, temperature = 1, topK = 0, topP = 1, minP = 0, seed = 1, counter = 0 } = options;
  const out = memory.output("i32", [rows]);
  const v = logits.length / rows;
  const workspace = memory.workspace("f32", native.sampleWorkspace(memory.device, rows, v));
  const ids = options.history;
  native.sample(
    out,
    memory.input(dtype, [rows, v], logits),
    ids === undefined ? null : memory.input("i32", [rows, ids.length], repeated(ids, rows)),
    options.streams === undefined ? null : memory.input("i32", [rows], options.streams),
    workspace,
    repetitionPenalty,
    temperature,
    topK,
    topP,
    minP,
    seed,
    counter,
  );
  return out;
}

/** Draws once for each row, and checks the memory around what was read and written. */
export async function drawSamples(
  device: Device,
  dtype: ComputeDType,
  logits: Float64Array,
  rows: number,
  options: SampleOptions = {},
  guard = 64,
): Promise<number[]> {
  const memory = new Memory(device, { guard });
  const drawn = [...(await values(enqueueSample(memory, dtype, logits, rows, options)))];
  await memory.verify();
  return drawn;
}

/** The same row so many times: every row has a draw of its own. */
export const repeated = (row: readonly number[], times: number): Float64Array =>
  Float64Array.from({ length: times * row.length }, (_, i) => row[i % row.length]!);
