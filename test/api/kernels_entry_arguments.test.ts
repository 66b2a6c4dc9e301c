/** Every kind of wrong value for every argument of every kernel: the error names operation, argument and fault. */
import { describe, expect, it } from "@jest/globals";
import { type DType, flashAttention, patchCrossEntropy, patchEmbedding, Tensor } from "../../lib/kernels.js";
import { backends, open } from "../support/backends.js";
import { failure } from "../support/failure.js";

type Values = Readonly<Record<string, unknown>>;

interface Operation {
  readonly name: string;
  /** What is right, by the name that an error gives it. */
  readonly values: Values;
  /** Sizes that no other argument decides. */
  readonly free: readonly string[];
  /** An `options`, `target` or `saved` among the values takes the place of what would be in it; `out.lse` is in `out`. */
  readonly call: (values: Values) => unknown;
}

const untyped = (f: unknown) => f as (...args: unknown[]) => unknown;

/** What the names with a point in them say: `{ scale, out: { lse } }` of `{ scale, "out.lse" }`. */
function nested(values: Values): Values {
  const made: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) {
    const [outer, inner] = name.split(".") as [string, string?];
    if (inner === undefined) made[name] = value;
    else made[outer] = { ...(made[outer] as object | undefined), [inner]: value };
  }
  return made;
}

describe.each(backends)("arguments of nextpatch/kernels on %s", (backend) => {
  const device = open(backend);
  const tensor = (dtype: DType, ...shape: number[]): Tensor => {
    const made = new Tensor(device, dtype, shape);
    made.write(new { f32: Float32Array, bf16: Uint16Array, i32: Int32Array }[dtype](made.size));
    return made;
  };
  const [q, k, v] = [tensor("f32", 1, 5, 4, 32), tensor("f32", 1, 7, 2, 32), tensor("f32", 1, 7, 2, 32)];
  const [out, lse, dattended] = [tensor("f32", 1, 5, 4, 32), tensor("f32", 1, 4, 5), tensor("f32", 1, 5, 4, 32)];
  const saved = { q, k, v, out, lse };
  const [tokens, dout] = [tensor("i32", 6), tensor("f32", 3, 8)];
  const [logits, labels] = [tensor("f32", 3, 11), tensor("i32", 3, 2)];

  const operations: Operation[] = [
    {
      name: "patchEmbedding",
      free: ["table.0"],
      values: { tokens, table: tensor("f32", 9, 8), patchSize: 2, out: tensor("f32", 3, 8) },
      call: ({ tokens, table, ...rest }) =>
        untyped(patchEmbedding)(tokens, table, "options" in rest ? rest.options : rest),
    },
    ...(
      [
        [{ dtable: tensor("f32", 9, 8) }, ["dtable.0"]],
        [{ out: tensor("f32", 9, 8) }, ["out.0"]],
        [{ vocabulary: 9 }, ["dout.1"]],
      ] as const
    ).map(
      ([target, free]): Operation => ({
        name: "patchEmbedding.backward",
        free,
        values: { dout, tokens, ...target },
        call: ({ dout, tokens, ...rest }) =>
          untyped(patchEmbedding.backward)(dout, tokens, "target" in rest ? rest.target : rest),
      }),
    ),
    {
      name: "flashAttention",
      free: ["q.1"],
      values: { q, k, v, scale: 1, window: 3 },
      call: ({ q, k, v, ...rest }) => untyped(flashAttention)(q, k, v, "options" in rest ? rest.options : rest),
    },
    {
      name: "flashAttention",
      free: [],
      values: { "out.out": out, "out.lse": lse },
      call: (rest) => untyped(flashAttention)(q, k, v, "options" in rest ? rest.options : nested(rest)),
    },
    {
      name: "flashAttention.backward",
      free: [],
      values: { dout: dattended, q, k, v, out, lse, scale: 1, window: 3 },
      call: ({ dout, options = {}, ...rest }) =>
        untyped(flashAttention.backward)(dout, "saved" in rest ? rest.saved : rest, options),
    },
    {
      name: "flashAttention.backward",
      free: [],
      values: {
        "out.dq": tensor("f32", 1, 5, 4, 32),
        "out.dk": tensor("f32", 1, 7, 2, 32),
        "out.dv": tensor("f32", 1, 7, 2, 32),
      },
      call: (rest) => {
        const options = "options" in rest ? rest.options : nested(rest);
        return untyped(flashAttention.backward)(dattended, "saved" in rest ? rest.saved : saved, options);
      },
    },
    ...[patchCrossEntropy, patchCrossEntropy.backward].map(
      (kernel): Operation => ({
        name: kernel === patchCrossEntropy ? "patchCrossEntropy" : "patchCrossEntropy.backward",
        free: ["logits.1"],
        values: {
          logits,
          labels,
          weights: [1, 1],
          "out.loss": tensor("f32", 1),
          "out.losses": tensor("f32", 3),
        },
        call: ({ logits, labels, ...rest }) =>
          untyped(kernel)(logits, labels, "options" in rest ? rest.options : nested(rest)),
      }),
    ),
  ];
  const optional = new Set(["out", "dtable", "scale", "window", "weights"]);
  const cases = operations.flatMap((operation) =>
    Object.entries(operation.values).map(([name, value]) => {
      return { operation, name, value, title: `${operation.name}: ${name}` };
    }),
  );
  const tensors = cases.flatMap(({ value, ...rest }) => (value instanceof Tensor ? [{ ...rest, value }] : []));

  /** The error of a call with one argument replaced, which must name operation, argument, expected and given. */
  function replaced({ name, values, call }: Operation, argument: string, value: unknown): Error {
    const error = failure(() => call({ ...values, [argument]: value }));
    expect(error.message).toMatch(new RegExp(`^${name}: ${argument}(\\[\\d+\\])?: expected .+ but received .+$`));
    return error;
  }

  it.each(operations)("$name accepts what is right", async ({ values, call }) => {
    call(values);
    await device.synchronize();
  });

  it.each(cases)("$title: what is of another kind", ({ operation, name, value }) => {
    const number = typeof value === "number";
    const junk: unknown[] = [null, true, "text", Symbol("s"), 10n, () => 0, Object.create(Tensor.prototype)];
    junk.push(number ? q : 1, number ? [1] : new Proxy(q, {}), Tensor);
    const required = operation.name === "flashAttention.backward" && name === "out";
    if (required || !optional.has(name)) junk.push(undefined);
    for (const wrong of junk) expect(replaced(operation, name, wrong).name).toBe("TypeError");
  });

  it.each([
    ["patchEmbedding", "options", [undefined, null, 3, "text"]],
    ["patchEmbedding.backward", "target", [undefined, null, 3]],
    ["flashAttention", "options", [null, 3, "text"]],
    ["flashAttention", "out", [null, 3, "text"]],
    ["flashAttention.backward", "saved", [undefined, null, 3]],
    ["flashAttention.backward", "options", [null, 3]],
    ["flashAttention.backward", "out", [null, 3]],
    ["patchCrossEntropy", "options", [null, 3]],
    ["patchCrossEntropy", "out", [null, 3]],
    ["patchCrossEntropy.backward", "options", [null, 3]],
    ["patchCrossEntropy.backward", "out", [null, 3]],
  ] as const)("%s: %s that are no object", (name, argument, junk) => {
    for (const operation of operations.filter((candidate) => candidate.name === name)) {
      for (const wrong of junk) expect(replaced(operation, argument, wrong).name).toBe("TypeError");
    }
  });

  it.each(cases.filter(({ value }) => typeof value === "number"))("$title: what no such number is", (given) => {
    const wrong = [NaN, Infinity, -Infinity, 1e300, ...(given.name === "scale" ? [1e7] : [0, -1, 0.5])];
    for (const number of wrong) expect(replaced(given.operation, given.name, number).name).toBe("RangeError");
  });

  it.each(tensors)("$title: a tensor that was disposed of", ({ operation, name, value }) => {
    const gone = new Tensor(device, value.dtype, value.shape);
    gone.dispose();
    expect(replaced(operation, name, gone).message).toContain("expected a live tensor but received a disposed one");
  });

  it.each(tensors)("$title: another dtype", ({ operation, name, value }) => {
    for (const dtype of ["f32", "bf16", "i32"] as const) {
      // The first tensor that may be f32 or bf16 decides for the others.
      const decides =
        name === Object.keys(operation.values).find((key) => ["table", "q", "logits"].includes(key)) ||
        (name === "dout" && operation.name === "patchEmbedding.backward");
      if (dtype === value.dtype || (decides && dtype === "bf16")) continue;
      expect(replaced(operation, name, tensor(dtype, ...value.shape)).name).toBe("TypeError");
    }
  });

  it.each(tensors)("$title: another number of dimensions", ({ operation, name, value }) => {
    if (name === "tokens") return; // of any shape
    const sizes = value.shape.length === 1 ? [1, value.size] : [value.size];
    const error = replaced(operation, name, value.reshape(sizes));
    expect(error).toMatchObject({
      name: "RangeError",
      message: expect.stringContaining(`but received [${sizes.join(", ")}]`),
    });
  });

  it.each(tensors)("$title: a size that does not fit", ({ operation, name, value }) => {
    for (const [dimension, size] of value.shape.entries()) {
      const other = tensor(value.dtype, ...value.shape.with(dimension, size + 1));
      const values = { ...operation.values, [name]: other };
      if (operation.free.includes(`${name}.${dimension}`)) operation.call(values);
      else
        expect(failure(() => operation.call(values)).message).toMatch(
          new RegExp(`^${operation.name}: [\\w.]+: expected .+ but received .+$`),
        );
    }
  });

  it.each(tensors)("$title: on another device", ({ operation, name, value }) => {
    const strange = new Tensor(open(backend, 1), value.dtype, value.shape);
    const error = failure(() => operation.call({ ...operation.values, [name]: strange }));
    if (Object.values(operation.values).filter((other) => other instanceof Tensor).length === 1) return;
    expect(error.name).toBe("TypeError");
    expect(error.message).toMatch(
      new RegExp(
        `^${operation.name}: [\\w.]+: expected a tensor on the device of \\w+, ` +
          `${backend}:0 .*, but received one on ${backend}:0`,
      ),
    );
  });

  it.each(tensors)("$title: rows that lie apart", ({ operation, name, value: { dtype, shape } }) => {
    const last = shape.length - 1;
    if (last === 0 && name !== "tokens") return; // no view has the shape
    const view = tensor(dtype, ...(last === 0 ? [shape[0]!, 2] : shape.with(last, shape[last]! + 1))).narrow(
      last === 0 ? 1 : last,
      0,
      last === 0 ? 1 : shape[last]!,
    );
    if (shape.length === 4) operation.call({ ...operation.values, [name]: view });
    else expect(replaced(operation, name, view).message).toContain("a contiguous tensor but received a strided view");
  });

  it("names the weight that is no number", () => {
    const call = (weights: unknown) => () => untyped(patchCrossEntropy)(logits, labels, { weights });
    const message = (i: number, got: string) =>
      `patchCrossEntropy: weights[${i}]: expected a finite number but received ${got}`;
    expect(call([1, NaN])).toThrow(new RangeError(message(1, "NaN")));
    expect(call([null, 1])).toThrow(new TypeError(message(0, "null")));
    expect(call({ length: 2 })).toThrow(TypeError);
    expect(call(new Float64Array([1, 1e300]))).toThrow(RangeError);
  });

  it("takes no memory for a call that is refused", () => {
    const { usedBytes } = device.memory();
    for (const { operation, name } of cases) failure(() => operation.call({ ...operation.values, [name]: null }));
    expect(device.memory().usedBytes).toBeLessThanOrEqual(usedBytes); // less where handles were collected
  });
});
