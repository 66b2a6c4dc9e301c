/**
 * The header of a safetensors file, parsed and checked against the format's rules
 * (huggingface/safetensors, README.md, "Format"):
 *
 *     8 bytes            N, unsigned 64-bit little-endian: size of the header
 *     N bytes            JSON object {"NAME": {"dtype", "shape", "data_offsets": [BEGIN, END]}, "__metadata__"?: {...}}
 *     rest               the tensors' bytes, little-endian, row-major; offsets count from its first byte
 *
 * The tensors cover the rest of the file exactly: no holes, no overlap, nothing left over.
 */
import { show } from "../arguments.js";
import { duplicateKey } from "../disk/duplicate_key.js";
import { inBytes, inputLimits } from "../disk/input_limits.js";
import { parseJsonOf } from "../disk/json.js";
import { CheckpointError } from "../errors.js";
import { byteSize, isSafetensorsDtype, type SafetensorsDtype } from "./dtypes.js";

/** The header's key for free text about the file; a tensor cannot have this name. */
export const metadataKey = "__metadata__";

/** What a header says about a tensor; `begin` and `end` are byte offsets after the header. */
export interface TensorEntry {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * Parses the JSON text of a header and checks it against the `dataBytes` that follow it in the file.
 * @param file the file's name, for messages
 * @returns the tensors by name, in the order of their bytes in the file
 * @throws CheckpointError naming the file, the tensor, what was expected and what was found
 */
export function parseHeader(text: string, dataBytes: number, file: string): ReadonlyMap<string, TensorEntry> {
  const fail = (problem: string): never => {
    throw new CheckpointError(`${file}: ${problem}`);
  };
  if (!text.startsWith("{"))
    fail(`header: expected a JSON object, which begins with "{", but received ${show(text.slice(0, 20))}`);
  const parsed = parseJsonOf(text, `${file}: header`, CheckpointError) as Record<string, unknown>;
  const duplicate = duplicateKey(text);
  if (duplicate !== undefined) fail(`header: expected each key once but received ${show(duplicate)} twice`);

  const entries: [string, TensorEntry][] = [];
  for (const [name, value] of Object.entries(parsed)) {
    if (name === metadataKey) checkMetadata(value, file);
    else entries.push([name, checkEntry(name, value, file)]);
  }
  // Keys may be in any order; the bytes may not. Empty tensors share an offset with the one after them.
  entries.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let expected = 0;
  for (const [name, { begin, end }] of entries) {
    if (begin !== expected) {
      const what = begin > expected ? "a hole" : "an overlap";
      fail(`tensor ${show(name)}: expected it to begin at byte ${expected} but received ${begin}: it leaves ${what}`);
    }
    expected = end;
  }
  if (expected !== dataBytes) {
    const what = expected > dataBytes ? "the file is cut short" : "no tensor covers the last of them";
    fail(`expected ${expected} bytes of tensors after the header but received ${dataBytes}: ${what}`);
  }
  return new Map(entries);
}

function checkMetadata(value: unknown, file: string): void {
  const isMap = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isMap || !Object.values(value).every((item) => typeof item === "string")) {
    throw new CheckpointError(`${file}: ${metadataKey}: expected an object of strings but received ${show(value)}`);
  }
  const bytes = Object.entries(value as Record<string, string>).reduce(
    (sum, [key, text]) => sum + Buffer.byteLength(key) + Buffer.byteLength(text),
    0,
  );
  const most = inputLimits.safetensorsMetadata;
  if (bytes > most) {
    throw new CheckpointError(
      `${file}: ${metadataKey}: expected at most ${inBytes(most)} of text about the file but received ${bytes} bytes`,
    );
  }
}

function checkEntry(name: string, value: unknown, file: string): TensorEntry {
  const fail = (what: string, expected: string, found: unknown): never => {
    throw new CheckpointError(
      `${file}: tensor ${show(name)}: ${what}: expected ${expected} but received ${show(found)}`,
    );
  };
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return fail("entry", "an object with dtype, shape and data_offsets", value);
  }
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (!isSafetensorsDtype(dtype)) return fail("dtype", "a known element type such as F32 or BF16", dtype);
  if (!isNaturalArray(shape)) return fail("shape", "a list of integers >= 0", shape);
  if (!isNaturalArray(offsets) || offsets.length !== 2) return fail("data_offsets", "[begin, end]", offsets);
  const [begin, end] = offsets as [number, number];
  if (begin > end) return fail("data_offsets", "begin <= end", offsets);
  const bytes = byteSize(dtype, shape);
  if (!Number.isSafeInteger(bytes)) return fail("shape", `a size in whole bytes for ${dtype}`, shape);
  if (end - begin !== bytes) {
    return fail("data_offsets", `${bytes} bytes for ${dtype} ${show(shape)}`, end - begin);
  }
  return { dtype, shape, begin, end };
}

function isNaturalArray(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
