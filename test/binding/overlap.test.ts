/** A tensor that an operation writes to shares no memory with another argument, whole or by a view of it. */
import { afterAll, describe, expect, it } from "@jest/globals";
import { native, Tensor } from "../../lib/native.js";
import { backends, open } from "../support/backends.js";
import { failure } from "../support/failure.js";
import { invoke, operations } from "../support/operations.js";

/** What native/kernels.h allows to be the same tensor. */
const inPlace = [
  ["rmsNormForward", "sum", "x"],
  ["rmsNormForward", "sum", "add"],
  ["rmsNormResidualForward", "out", "residual"],
  ["qkNormBackward", "dx", "dout"],
  ["swigluBackward", "dgateUp", "gateUp"],
  ["gegluBackward", "dgateUp", "gateUp"],
  ["adamw", "param", "master"],
  ["muonUpdate", "param", "master"],
];

describe.each(backends)("arguments that overlap on %s", (backend) => {
  const device = open(backend);
  const signatures = native.signatures();
  const all = operations(device);
  afterAll(() => device.synchronize());

  it.each(all)("$name", async ({ name, arguments: args }) => {
    for (const [i, written] of args.entries()) {
      if (!signatures[name]!.parameters[i]!.written) continue;
      for (const [j, other] of args.entries()) {
        const [a, b] = [written.value, other.value];
        if (i === j || !(a instanceof Tensor) || !(b instanceof Tensor) || a.dtype !== b.dtype) continue;
        const block = new Tensor(device, a.dtype, [a.size + b.size]);
        const at = (start: number, { size, shape }: Tensor) => block.narrow(0, start, size).reshape(shape);
        const call = (first: Tensor, second: Tensor) => {
          const values = args.map(({ value }) => value);
          [values[i], values[j]] = [first, second];
          native.fill(block, 0); // ids that are valid
          invoke(name, values);
        };
        call(at(0, a), at(a.size, b));
        call(at(b.size, a), at(0, b));
        const pair = [written.name, other.name];
        const allowed = inPlace.some(
          ([operation, x, y]) => operation === name && pair.includes(x!) && pair.includes(y!),
        );
        if (allowed) call(at(0, a), at(0, b));
        const shifted: [Tensor, Tensor][] = [[at(0, a), at(a.size - 1, b)]];
        if (!allowed) shifted.push([at(0, a), at(0, b)]);
        if (allowed && a.size === 1) shifted.pop();
        for (const [first, second] of shifted) {
          const error = failure(() => call(first, second));
          expect(error.name).toBe("RangeError");
          expect(error.message).toMatch(
            new RegExp(
              `^${name}: \\w+: expected memory apart from that of \\w+.* but received a tensor of shape .* that overlaps it$`,
            ),
          );
          expect(error.message).toContain(written.name);
          expect(error.message).toContain(other.name);
        }
      }
    }
    await device.synchronize();
  });

  it("takes views whose rows lie between each other's", async () => {
    const both = new Tensor(device, "f32", [4, 3, 10]);
    native.fill(both, 1);
    const [left, right] = [both.narrow(2, 0, 5), both.narrow(2, 5, 5)];
    native.copy(left, right);
    for (const [start, length] of [
      [4, 6],
      [0, 5],
      [0, 10],
    ] as const) {
      const other = both.narrow(2, start, length);
      const error = failure(() => native.copy(both.narrow(2, 0, length), other.narrow(2, 0, length)));
      expect(error.name).toBe("RangeError");
    }
    await device.synchronize();
  });
});

describe("sizes that no tensor has", () => {
  const device = open("cpu");
  it.each([
    [1, 1, 1, 1, 2, 32],
    [1, 1, 2 ** 44, 2 ** 44, 1, 32],
    [2 ** 44, 2 ** 44, 2 ** 44, 2 ** 44, 2 ** 44, 128],
    [1, 1, 1, 1, 1, 1],
  ])("are refused as those of attention: %p %p %p %p %p %p", (...sizes) => {
    const error = failure(() =>
      native.attentionBackwardWorkspace(device, ...(sizes as [number, number, number, number, number, number])),
    );
    expect(error.name).toBe("RangeError");
    expect(error.message).toMatch(/^attentionBackwardWorkspace: \w+: expected .* but received/);
  });

  it.each(["rmsNormBackwardWorkspace", "biasBackwardWorkspace", "sampleWorkspace", "muonMomentumWorkspace"] as const)(
    "are refused by %s",
    (name) => {
      expect(failure(() => native[name](device, 2 ** 44, 2 ** 44)).name).toBe("RangeError");
    },
  );
});

it("a shape whose elements change it while they are read does no harm", () => {
  const device = open("cpu");
  const shape = [0, 1];
  Object.defineProperty(shape, 0, {
    get: () => {
      for (let i = 0; i < 100; i++) shape.push(1);
      return 2;
    },
  });
  expect([...new Tensor(device, "f32", shape).shape]).toEqual([2, 1]);
  const tensor = new Tensor(device, "f32", [2]);
  const disposing = [2];
  Object.defineProperty(disposing, 0, {
    get: () => {
      tensor.dispose();
      return 2;
    },
  });
  expect(failure(() => tensor.reshape(disposing)).message).toContain("reshape: tensor: expected a live tensor");
});

it("overlap says whether two tensors share memory, and takes nothing but live tensors", () => {
  const whole = new Tensor(open("cpu"), "f32", [4, 6]);
  const [left, right, row] = [whole.narrow(1, 0, 3), whole.narrow(1, 3, 3), whole.narrow(0, 2, 1)];
  const gone = new Tensor(open("cpu"), "f32", [1]);
  gone.dispose();
  expect(native.overlap(left, right)).toBe(false);
  expect(native.overlap(right, row)).toBe(true);
  expect(native.overlap(whole, new Tensor(open("cpu"), "f32", [4, 6]))).toBe(false);
  const call = native.overlap as (...values: unknown[]) => unknown;
  for (const [wrong, received] of [
    [gone, "a disposed one"],
    [null, "null"],
    [3, "3"],
    [Object.create(Tensor.prototype), "another object"],
  ] as const) {
    const message = (name: string) => `overlap: ${name}: expected a live tensor but received ${received}`;
    expect(failure(() => call(wrong, whole))).toMatchObject({ name: "TypeError", message: message("a") });
    expect(failure(() => call(whole, wrong))).toMatchObject({ name: "TypeError", message: message("b") });
  }
});
