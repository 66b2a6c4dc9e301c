import { describe, expect, it } from "@jest/globals";
import { native, type Tensor } from "../../lib/native.js";
import { type ComputeDType, cases, grid, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { bits, Memory, type MemoryOptions, values } from "../support/memory.js";
import { normals, rounding } from "../support/numbers.js";
import { type AdamWState, adamw, type Hyper, norm } from "../support/reference_training.js";

const hyper: Hyper = {
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  maxNorm: 0,
};

/** The optimizer's tensors; in f32 the parameters are the master weights themselves. */
class Optimizer {
  readonly master: Tensor;
  readonly param: Tensor;
  readonly m: Tensor;
  readonly v: Tensor;
  readonly steps: Tensor<"i32">;
  readonly corrections: Tensor<"f32">;

  constructor(
    readonly memory: Memory,
    readonly size: number,
    dtype: ComputeDType,
    stepsTaken = 0,
  ) {
    this.master = memory.inout("f32", [size], normals(size, 1));
    this.param = dtype === "f32" ? this.master : memory.output(dtype, [size]);
    this.m = memory.inout("f32", [size], new Float64Array(size));
    this.v = memory.inout("f32", [size], new Float64Array(size));
    this.steps = memory.inout("i32", [1], [stepsTaken]);
    this.corrections = memory.output("f32", [2]);
  }

  step(grad: Float64Array, gradNorm: number, h: Hyper, decayed: number): void {
    const rest = (beta: number) => beta - Math.fround(beta);
    const { learningRate, beta1, beta2, epsilon, weightDecay, maxNorm } = h;
    const values = [learningRate, beta1, beta2, epsilon, weightDecay, rest(beta1), rest(beta2), maxNorm];
    native.adamw(
      this.param,
      this.master,
      this.m,
      this.v,
      this.steps,
      this.corrections,
      this.memory.input("f32", [this.size], grad),
      this.memory.input("f32", [1], [gradNorm]),
      this.memory.input("f32", [8], values),
      decayed,
    );
  }

  get state(): Tensor[] {
    return [this.param, this.master, this.m, this.v, this.steps, this.corrections];
  }
}

const gradient = (size: number, t: number): Float64Array => normals(size, 10 + t);

describe.each(grid)("AdamW on $backend in $dtype", ({ backend, dtype }) => {
  const size = cases(backend, [10_003], [523])[0]!;

  async function follow(n: number, h: Hyper, decayed: number, options: MemoryOptions = {}): Promise<void> {
    const memory = new Memory(open(backend), options);
    const optimizer = new Optimizer(memory, n, dtype);
    const expected: AdamWState = {
      master: normals(n, 1).slice(),
      m: new Float64Array(n),
      v: new Float64Array(n),
    };
    for (let t = 1; t <= 4; ++t) {
      const grad = gradient(n, t);
      optimizer.step(grad, norm(grad), h, decayed);
      adamw(expected, grad, h, t, decayed);
      expectClose(await values(optimizer.master), expected.master);
      expectClose(await values(optimizer.m), expected.m);
      expectClose(await values(optimizer.v), expected.v);
    }
    expect(await values(optimizer.param)).toEqual((await values(optimizer.master)).map(rounding[dtype]));
    expect(await values(optimizer.steps)).toEqual(Float64Array.of(4));
    await memory.verify();
  }

  it.each([1, 3, 31, 123])("%i parameters, all decayed, at any element", (n) => follow(n, hyper, n, { guard: 61 }));
  it("decays the first elements only", () => follow(size, hyper, 123));
  it("decays none", () => follow(size, hyper, 0));
  it("clips a norm above the largest", () => follow(size, { ...hyper, maxNorm: 0.5 }, size));
  it("does not scale a norm below the largest up", () => follow(123, { ...hyper, maxNorm: 1e4 }, 61));
  it("leaves weights without decay and learning rate alone", () => follow(123, { ...hyper, learningRate: 0 }, 123));

  it("clips by a norm of 0 without NaN", async () => {
    const memory = new Memory(open(backend));
    const optimizer = new Optimizer(memory, 40, dtype);
    optimizer.step(new Float64Array(40), 0, { ...hyper, maxNorm: 1, weightDecay: 0 }, 40);
    expect(await values(optimizer.master)).toEqual(normals(40, 1));
    expect(await values(optimizer.param)).toEqual(normals(40, 1).map(rounding[dtype]));
    await memory.verify();
  });

  it("corrects the bias of any step by the rounded value of 1 - beta^t", async () => {
    const memory = new Memory(open(backend));
    const at = cases(backend, [0, 1, 2, 9, 99, 337, 338, 999, 5000, 17_320, 2 ** 30], [0, 1, 337]);
    for (const [beta1, beta2] of [
      [0.9, 0.95],
      [0.8, 0.999],
      [0, 0.98],
    ] as const) {
      for (const stepsTaken of at) {
        const optimizer = new Optimizer(memory, 1, dtype, stepsTaken);
        optimizer.step(Float64Array.of(1), 1, { ...hyper, beta1, beta2 }, 0);
        const corrections = [beta1, beta2].map((beta) => Math.fround(1 - beta ** (stepsTaken + 1)));
        expect(await values(optimizer.corrections)).toEqual(Float64Array.from(corrections));
        expect(await values(optimizer.steps)).toEqual(Float64Array.of(stepsTaken + 1));
      }
    }
    await memory.verify();
  });

  it.each([NaN, Infinity, -Infinity])("changes nothing when the norm is %d", async (bad) => {
    const memory = new Memory(open(backend));
    const optimizer = new Optimizer(memory, size, dtype);
    optimizer.step(gradient(size, 1), norm(gradient(size, 1)), hyper, 100);
    const before = await Promise.all(optimizer.state.map(bits));
    optimizer.step(gradient(size, 2), bad, { ...hyper, maxNorm: 1 }, 100);
    const after = await Promise.all(optimizer.state.map(bits));
    expect(Buffer.concat(after).equals(Buffer.concat(before))).toBe(true);
    await memory.verify();
  });

  it("gives the same bits again", () =>
    expectSameBits(backend, (memory) => {
      const optimizer = new Optimizer(memory, size, dtype);
      for (let t = 1; t <= 3; ++t) optimizer.step(gradient(size, t), 100, { ...hyper, maxNorm: 1 }, size >> 1);
      return optimizer.state;
    }));
});
