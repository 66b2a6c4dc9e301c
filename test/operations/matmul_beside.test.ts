import { describe, expect, it } from "@jest/globals";
import { native } from "../../lib/native.js";
import { grid, open } from "../support/backends.js";
import { Memory, values } from "../support/memory.js";
import { normals } from "../support/numbers.js";

const [m, n, k] = [24, 32, 40];
/** More products than a backend has events for, so that the oldest has to be waited for. */
const count = 11;

describe.each(grid)("products beside on $backend in $dtype", ({ backend, dtype }) => {
  const device = open(backend);

  function problem(memory: Memory, index: number) {
    const a = normals(k * m, 3 * index, dtype);
    const b = normals(k * n, 3 * index + 1, dtype);
    const c = normals(m * n, 3 * index + 2, "f32");
    const operands = () => {
      const factors = [memory.inout(dtype, [k, m], a), memory.inout(dtype, [k, n], b)] as const;
      return { factors, result: memory.inout("f32", [m, n], c) };
    };
    const [expected, beside] = [operands(), operands()];
    return {
      expected: { ...expected, run: () => native.matmul(expected.result, ...expected.factors, true, false, true) },
      beside: { ...beside, run: () => native.matmulBeside(beside.result, ...beside.factors, true, false, true) },
    };
  }

  /** Products beside each other, whose factors are overwritten after `join` says that they may be. */
  async function check(enqueue: (body: () => void) => void, joined: (index: number) => boolean): Promise<void> {
    const memory = new Memory(device);
    const problems = Array.from({ length: count }, (_, index) => problem(memory, index));
    for (const { expected } of problems) expected.run();
    enqueue(() => {
      for (const { beside } of problems) beside.run();
      let first = 0;
      for (const [index, { beside }] of problems.entries()) {
        if (!joined(index)) continue;
        native.joinProduct(beside.result);
        for (; first <= index; first++) for (const factor of problems[first]!.beside.factors) native.fill(factor, 0);
      }
    });
    for (const { expected, beside } of problems) {
      expect(await values(beside.result)).toEqual(await values(expected.result));
    }
  }

  // Under another schedule than the order of enqueueing, simt runs what does not wait in another order.
  const ways = {
    "at once": (body: () => void) => body(),
    "in a graph": (body: () => void) => {
      device.beginCapture();
      try {
        body();
      } finally {
        const graph = device.endCapture();
        graph?.launch();
        graph?.dispose();
      }
    },
  };
  describe.each(Object.entries(ways))("enqueued %s", (_, enqueue) => {
    it("have matmul's bits", () => check(enqueue, () => true));
    it("are joined with all before them", () => check(enqueue, (index) => index % 5 === 0));
  });

  it("are waited for by whoever waits for the device, and not in vain if there is none", async () => {
    const memory = new Memory(device);
    const { expected, beside } = problem(memory, 0);
    native.joinProduct(beside.result);
    beside.run();
    expected.run();
    await device.synchronize();
    expect(await values(beside.result)).toEqual(await values(expected.result));
  });
});
