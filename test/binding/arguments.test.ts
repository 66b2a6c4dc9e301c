/** Every kind of wrong value for every argument of every operation: the error names operation and argument. */
import { afterAll, describe, expect, it } from "@jest/globals";
import { type DType, native, Tensor } from "../../lib/native.js";
import { backends, open } from "../support/backends.js";
import { failure } from "../support/failure.js";
import { type Argument, invoke, type Operation, operations } from "../support/operations.js";

describe.each(backends)("arguments on %s", (backend) => {
  const device = open(backend);
  const other = open(backend, 1);
  const all = operations(device);

  afterAll(() => device.synchronize());

  /** Calls the operation with argument `i` replaced. */
  function replaced(operation: Operation, i: number, value: unknown): Error {
    const args = operation.arguments.map((argument) => argument.value);
    args[i] = value;
    return failure(() => invoke(operation.name, args));
  }

  function each(kinds: readonly string[]): { operation: Operation; argument: Argument; i: number; title: string }[] {
    return all.flatMap((operation) =>
      operation.arguments.flatMap((argument, i) =>
        kinds.includes(argument.kind) ? [{ operation, argument, i, title: `${operation.name}: ${argument.name}` }] : [],
      ),
    );
  }

  const tensorLike = each(["tensor", "optional"]);

  it.each(all)("$name accepts the valid call", async ({ name, arguments: args }) => {
    invoke(
      name,
      args.map((argument) => argument.value),
    );
    await device.synchronize();
  });

  it.each(each(["tensor", "optional", "device"]))("$title: what is no handle", ({ operation, argument, i, title }) => {
    const junk: unknown[] = [
      1,
      "text",
      true,
      Symbol("s"),
      10n,
      {},
      [],
      () => 0,
      new Float32Array(3),
      Object.create(Tensor.prototype),
      Object.create(argument.value as object),
      new Proxy(argument.value as object, {}),
      Tensor,
      Tensor.prototype,
      argument.kind === "device" ? new Tensor(device, "f32", [1]) : device,
    ];
    if (argument.kind !== "optional") junk.push(null, undefined);
    for (const value of junk) {
      const error = replaced(operation, i, value);
      expect(error.name).toBe("TypeError");
      const kind = argument.kind === "device" ? "Device" : "Tensor";
      expect(error.message).toContain(`${title}: expected a ${kind} but received`);
    }
  });

  it.each(each(["number", "whole"]))("$title: what is no such number", ({ operation, argument, i, title }) => {
    for (const value of ["1", null, undefined, true, {}, [1], 1n, Symbol("s"), { valueOf: () => 1 }]) {
      const error = replaced(operation, i, value);
      expect(error.name).toBe("TypeError");
      expect(error.message).toMatch(new RegExp(`^${title}: expected a (whole )?number but received`));
    }
    const wrong = [NaN, Infinity, -Infinity, 1e300, -1e300];
    if (!argument.signed) wrong.push(-1, -Number.MIN_VALUE);
    if (argument.kind === "whole") wrong.push(0.5, 2 ** 60);
    for (const value of wrong) {
      const error = replaced(operation, i, value);
      expect(error.name).toBe("RangeError");
      expect(error.message).toMatch(new RegExp(`^${title}: expected a (whole )?number from .* to .* but received`));
    }
  });

  it.each(each(["boolean"]))("$title: what is no boolean", ({ operation, i, title }) => {
    for (const value of [0, 1, "true", null, undefined, {}, new Boolean(true)]) {
      const error = replaced(operation, i, value);
      expect(error.name).toBe("TypeError");
      expect(error.message).toContain(`${title}: expected a boolean but received`);
    }
  });

  it.each(tensorLike)("$title: a tensor that was disposed of", ({ operation, i, title }) => {
    const gone = new Tensor(device, "f32", [1]);
    gone.dispose();
    const error = replaced(operation, i, gone);
    expect(error.name).toBe("TypeError");
    expect(error.message).toContain(`${title}: expected a live tensor`);
  });

  it.each(tensorLike.filter(({ title }) => title !== "fill: out"))(
    "$title: another dtype",
    ({ operation, argument, i, title }) => {
      const { dtype, shape } = argument.value as Tensor;
      const wrong: DType = dtype === "i32" ? "f32" : "i32";
      const error = replaced(operation, i, new Tensor(device, wrong, shape));
      expect(error.name).toBe("TypeError");
      // A copy cannot tell which of its two is wrong.
      expect(error.message).toContain(`${title === "copy: out" ? "copy: source" : title}: expected dtype`);
    },
  );

  it.each(tensorLike.filter(({ title }) => title !== "copy: out" && title !== "copy: source"))(
    "$title: another number of dimensions",
    ({ operation, argument, i, title }) => {
      if (ofAnyShape.includes(title)) return;
      const tensor = argument.value as Tensor;
      const shape = tensor.shape.length === 1 ? [1, tensor.size] : [tensor.size];
      const error = replaced(operation, i, tensor.reshape(shape));
      expect(error.name).toBe("RangeError");
      expect(error.message).toMatch(new RegExp(`^${title}: expected \\d dimensions? but received \\[`));
    },
  );

  it.each(tensorLike)("$title: a size that fits no other argument", ({ operation, argument, i, title }) => {
    if (ofAnyShape.includes(title)) return;
    if (operation.name === "gradNorm" && argument.name === "grad") return;
    const { dtype, shape } = argument.value as Tensor;
    for (const [dimension, size] of shape.entries()) {
      if (
        argument.name === "workspace" ||
        (/^(rotary|qkNormForward): table|: rotaryTable$/.test(title) && dimension === 0)
      ) {
        if (size === 1) continue; // less than one cannot be had
        // More than is needed is fine, less is not. The table has one position to spare.
        const error = replaced(operation, i, new Tensor(device, dtype, shape.with(dimension, 1)));
        expect(error.name).toBe("RangeError");
        expect(error.message).toContain(`${title}: expected`);
        continue;
      }
      // Some arguments alone decide a dimension, such as the positions of a rotary table or a vocabulary.
      if (free.has(`${title}.${dimension}`)) continue;
      const error = replaced(operation, i, new Tensor(device, dtype, shape.with(dimension, size + 7)));
      expect(error.name).toBe("RangeError");
      expect(error.message).toMatch(new RegExp(`^${operation.name}: \\w+: expected .+ but received`));
    }
  });

  it.each(tensorLike.filter(({ argument }) => (argument.value as Tensor).shape.length > 1))(
    "$title: rows that lie apart",
    ({ operation, argument, i, title }) => {
      const { dtype, shape } = argument.value as Tensor;
      const last = shape.length - 1;
      const wide = new Tensor(device, dtype, shape.with(last, shape[last]! + 1));
      native.fill(wide, 0);
      const view = wide.narrow(last, 0, shape[last]!);
      if (argument.strided) {
        const args = operation.arguments.map((candidate) => candidate.value);
        args[i] = view;
        invoke(operation.name, args);
      } else {
        const error = replaced(operation, i, view);
        expect(error.name).toBe("RangeError");
        expect(error.message).toContain(
          `${title}: expected a contiguous tensor but received a strided view of shape [`,
        );
      }
    },
  );

  it.each(tensorLike)("$title: a tensor of another device", ({ operation, argument, i }) => {
    const tensors = operation.arguments.filter(({ kind }) => kind === "tensor" || kind === "optional");
    if (tensors.length === 1) return; // then that device is the one
    const { dtype, shape } = argument.value as Tensor;
    const error = replaced(operation, i, new Tensor(other, dtype, shape));
    expect(error.name).toBe("TypeError");
    expect(error.message).toMatch(new RegExp(`^${operation.name}: \\w+: expected a tensor on the device of the other`));
  });

  it("RMSNorm takes sum and add together or not at all", () => {
    const norm = all.find(({ name }) => name === "rmsNormForward")!;
    for (const [i, name] of norm.arguments.map(({ name }, i) => [i, name] as const)) {
      if (name !== "sum" && name !== "add") continue;
      for (const value of [null, undefined]) {
        const error = replaced(norm, i, value);
        expect(error.name).toBe("RangeError");
        expect(error.message).toContain("rmsNormForward: sum: expected");
      }
    }
  });
});

/** Tensors of any rank, and of a size that no other argument has. */
const ofAnyShape = ["fill: out", "normal: out", "firstNonFinite: values", "sum: values"];

/** Dimensions that no other argument is checked against. */
const free = new Set([
  "rotaryTable: table.0",
  "patchEmbeddingForward: table.0",
  "patchEmbeddingBackward: dtable.0",
  "crossEntropy: logits.1",
  "sample: logits.1",
  "sample: history.1",
  "biasForward: x.0",
  "biasBackward: dout.0",
  "rotary: x.0",
  "rotary: x.2",
  "labelCoefficients: labels.0",
]);
