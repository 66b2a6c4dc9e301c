import { expect } from "@jest/globals";
import type { BackendName, Tensor } from "../../lib/native.js";
import { open } from "./backends.js";
import { bits, Memory, type MemoryOptions } from "./memory.js";

/** What f32 arithmetic may lose over sums of some hundred terms, relative to float64. */
const F32_ERROR = 2e-6;

/** ||actual - expected|| / ||expected||. NaN where either holds a NaN; equal infinities count as no error. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return NaN;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; ++i) {
    const a = actual[i]!;
    const b = expected[i]!;
    if (a === b && !Number.isFinite(b)) continue;
    difference += (a - b) ** 2;
    norm += b * b;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / norm);
}

/**
 * The one tolerance: the error to the exact result (float64) is at most twice that of a plain implementation that
 * rounds at the same points, plus what f32 arithmetic loses. Without `plain`, nothing is rounded but f32 sums.
 */
export function expectClose(
  actual: ArrayLike<number>,
  exact: ArrayLike<number>,
  plain: ArrayLike<number> = exact,
): void {
  expect(relativeError(actual, exact)).toBeLessThanOrEqual(2 * relativeError(plain, exact) + F32_ERROR);
}

/**
 * `run` gives the same bits when it is repeated, whatever its outputs and workspaces held before, and on the CPU
 * with one thread and with two; where `threadIndependent`, the same bits for both.
 */
export async function expectSameBits(
  backend: BackendName,
  run: (memory: Memory) => Tensor[],
  threadIndependent = true,
): Promise<void> {
  const once = async (threads: number, poison: MemoryOptions["poison"]): Promise<Buffer> => {
    const memory = new Memory(open(backend, threads), { poison });
    const outputs = run(memory);
    const parts: Uint8Array[] = [];
    for (const output of outputs) parts.push(await bits(output));
    await memory.verify();
    return Buffer.concat(parts);
  };
  const first = await once(2, "nan");
  expect(first.equals(await once(2, "huge"))).toBe(true);
  if (backend !== "cpu") return;
  const single = await once(1, "nan");
  expect(single.equals(await once(1, "huge"))).toBe(true);
  if (threadIndependent) expect(single.equals(first)).toBe(true);
}
