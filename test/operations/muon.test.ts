import { describe, expect, it } from "@jest/globals";
import { native, type Tensor } from "../../lib/native.js";
import { type ComputeDType, cases, grid, open } from "../support/backends.js";
import { expectClose, expectSameBits, relativeError } from "../support/closeness.js";
import { bits, Memory, type MemoryOptions, values } from "../support/memory.js";
import { exact, normals, rounding } from "../support/numbers.js";
import { type MuonHyper, muonMomentum } from "../support/reference_training.js";

const hyper: MuonHyper = { learningRate: 0.02, momentum: 0.95, weightDecay: 0.1, maxNorm: 0 };

/** Matrices of `elements`, each `apart` elements behind the one before. */
interface Stack {
  count: number;
  elements: number;
  apart: number;
}

class Problem {
  readonly momentum: Tensor<"f32">;
  readonly master: Tensor<"f32">;
  readonly param: Tensor;
  readonly update: Tensor;

  constructor(
    readonly memory: Memory,
    readonly dtype: ComputeDType,
    readonly stack: Stack,
  ) {
    const { count, elements, apart } = stack;
    this.momentum = memory.inout("f32", [count, apart], normals(count * apart, 1));
    this.master = memory.inout("f32", [count, apart], normals(count * apart, 2));
    this.param = dtype === "f32" ? this.master : memory.inout(dtype, [count, apart], new Float64Array(count * apart));
    this.update = memory.output(dtype, [count, elements]);
  }

  private view<T extends Tensor>(tensor: T): T {
    return tensor.narrow(1, 0, this.stack.elements) as T;
  }

  private settings({ learningRate, momentum, weightDecay, maxNorm }: MuonHyper): Tensor<"f32"> {
    return this.memory.input("f32", [4], [learningRate, momentum, weightDecay, maxNorm]);
  }

  average(grad: Float64Array, norm: number, h: MuonHyper, nesterov: boolean): void {
    const { count, elements, apart } = this.stack;
    native.muonMomentum(
      this.update,
      this.view(this.momentum),
      this.view(this.memory.input("f32", [count, apart], grad)),
      this.memory.input("f32", [1], [norm]),
      this.settings(h),
      this.memory.workspace("f32", native.muonMomentumWorkspace(this.memory.device, count, elements)),
      nesterov,
    );
  }

  apply(update: Tensor, norm: number, h: MuonHyper, scale: number): void {
    const { count, elements } = this.stack;
    native.muonUpdate(
      this.view(this.param),
      this.view(this.master),
      update.reshape([count, elements]),
      this.memory.input("f32", [1], [norm]),
      this.settings(h),
      scale,
    );
  }
}

describe.each(grid)("Muon's operations on $backend in $dtype", ({ backend, dtype }) => {
  const stacks = cases<Stack>(
    backend,
    [
      { count: 3, elements: 20_000, apart: 20_004 },
      { count: 2, elements: 4_095, apart: 4_100 },
      { count: 1, elements: 66_001, apart: 66_001 },
      { count: 5, elements: 1, apart: 3 },
    ],
    [
      { count: 2, elements: 1_300, apart: 1_304 },
      { count: 3, elements: 123, apart: 130 },
      // One for which a thread of the GPU has two elements.
      { count: 1, elements: 65_537, apart: 65_537 },
      { count: 2, elements: 1, apart: 1 },
    ],
  );
  const small: Stack = { count: 2, elements: 60, apart: 64 };

  async function average(stack: Stack, h: MuonHyper, nesterov: boolean, options: MemoryOptions = {}): Promise<void> {
    const memory = new Memory(open(backend), options);
    const problem = new Problem(memory, dtype, stack);
    const { count, elements, apart } = stack;
    const grad = normals(count * apart, 3, "f32", 1e-3);
    problem.average(grad, 7, h, nesterov);
    const momentum = normals(count * apart, 1).slice();
    const results = { exact: [] as number[], plain: [] as number[] };
    for (let i = 0; i < count; i++) {
      const part = (of: Float64Array) => of.subarray(i * apart, i * apart + elements);
      results.plain.push(...muonMomentum(part(momentum).slice(), part(grad), 7, h, nesterov, rounding[dtype]));
      results.exact.push(...muonMomentum(part(momentum), part(grad), 7, h, nesterov, exact));
    }
    expectClose(await values(problem.update), results.exact, results.plain);
    expectClose(await values(problem.momentum), momentum); // what lies between the matrices is as it was
    await memory.verify();
  }

  describe.each(stacks)("$count matrices of $elements, $apart apart", (stack) => {
    it("averages the gradient", () => average(stack, hyper, false));
    it("averages it once more", () => average(stack, hyper, true));

    it("updates the weights", async () => {
      const memory = new Memory(open(backend));
      const problem = new Problem(memory, dtype, stack);
      const { count, elements, apart } = stack;
      const change = normals(count * elements, 4, dtype);
      problem.apply(memory.input(dtype, [count, elements], change), 1, hyper, 1.5);
      const expected = normals(count * apart, 2).slice();
      for (let i = 0; i < count; i++) {
        for (let j = 0; j < elements; j++) {
          const at = i * apart + j;
          expected[at] = expected[at]! * (1 - 0.02 * 0.1) - 0.02 * 1.5 * change[i * elements + j]!;
        }
      }
      const master = await values(problem.master);
      expectClose(master, expected);
      const rounded = master.map((x, at) => (at % apart < elements ? rounding[dtype](x) : 0));
      if (dtype === "bf16") expect(relativeError(await values(problem.param), rounded)).toBe(0);
      await memory.verify();
    });
  });

  it("takes tensors at any element", () => average({ count: 2, elements: 64, apart: 68 }, hyper, true, { guard: 61 }));
  it("clips a norm above the largest", () => average(small, { ...hyper, maxNorm: 0.5 }, true));
  it("does not scale a norm below the largest up", () => average(small, { ...hyper, maxNorm: 100 }, true));
  it("without momentum, takes the gradient", () => average(small, { ...hyper, momentum: 0 }, true));

  it("makes zeros of zeros", async () => {
    const memory = new Memory(open(backend));
    const problem = new Problem(memory, dtype, small);
    native.fill(problem.momentum, 0);
    problem.average(new Float64Array(128), 0, { ...hyper, maxNorm: 1 }, true);
    expect(await values(problem.update)).toEqual(new Float64Array(120));
    await memory.verify();
  });

  it.each([NaN, Infinity])("changes nothing when the norm is %d", async (norm) => {
    const memory = new Memory(open(backend));
    const problem = new Problem(memory, dtype, small);
    const state = () => Promise.all([problem.momentum, problem.master, problem.param].map(bits));
    const before = await state();
    problem.average(normals(128, 3), norm, { ...hyper, maxNorm: 1 }, true);
    problem.apply(memory.input(dtype, [2, 60], normals(120, 4, dtype)), norm, hyper, 1);
    expect(Buffer.concat(await state()).equals(Buffer.concat(before))).toBe(true);
    await memory.verify();
  });

  it("takes no more matrices than a GPU's grid has rows", () => {
    const problem = new Problem(new Memory(open(backend)), dtype, { count: 65_536, elements: 1, apart: 1 });
    const step = () => problem.average(new Float64Array(65_536), 1, hyper, true);
    expect(step).toThrow("muonMomentum: out: expected at most 65535 rows but received [65536, 1]");
    expect(() => problem.apply(problem.update, 1, hyper, 1)).toThrow("muonUpdate: param: expected at most 65535 rows");
  });

  it("gives the same bits again", () =>
    expectSameBits(backend, (memory) => {
      const problem = new Problem(memory, dtype, stacks[0]!);
      const { count, apart } = stacks[0]!;
      problem.average(normals(count * apart, 3), 100, { ...hyper, maxNorm: 1 }, true);
      problem.apply(problem.update, 100, hyper, 2);
      return [problem.update, problem.momentum, problem.master, problem.param];
    }));
});
