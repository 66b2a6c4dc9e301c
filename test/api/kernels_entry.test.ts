import { describe, expect, it } from "@jest/globals";
import { main as example } from "../../examples/kernels.js";
import * as api from "../../lib/kernels.js";
import { flashAttention, patchCrossEntropy, patchEmbedding, Tensor } from "../../lib/kernels.js";
import { backends, open } from "../support/backends.js";
import { relativeError } from "../support/closeness.js";
import { integers, normals } from "../support/numbers.js";
import { crossEntropy, labelCoefficients } from "../support/reference_training.js";

/** Of f32 kernels: a step that rounding (1e-7 of a sum near 1) does not drown, and what its square leaves. */
const STEP = 2e-2;
const DIFFERENCE_ERROR = 2e-3;

describe.each(backends)("nextpatch/kernels on %s", (backend) => {
  const device = open(backend);

  const f32 = (shape: readonly number[], values: ArrayLike<number>): Tensor<"f32"> => {
    const tensor = new Tensor(device, "f32", shape);
    tensor.write(Float32Array.from(values));
    return tensor;
  };
  const i32 = (shape: readonly number[], values: ArrayLike<number>): Tensor<"i32"> => {
    const tensor = new Tensor(device, "i32", shape);
    tensor.write(Int32Array.from(values));
    return tensor;
  };
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
    Array.from(a).reduce((sum, x, i) => sum + x * b[i]!, 0);

  /** The gradient of f in x along a direction, by central differences, against `gradient` along it. */
  async function checkAlong(
    x: Float64Array,
    direction: Float64Array,
    gradient: ArrayLike<number>,
    f: (x: Float64Array) => Promise<number>,
  ): Promise<void> {
    const at = (step: number): Promise<number> => f(x.map((value, i) => value + step * direction[i]!));
    const slope = ((await at(STEP)) - (await at(-STEP))) / (2 * STEP);
    expect(Math.abs(slope)).toBeGreaterThan(0.01);
    expect(relativeError([dot(gradient, direction)], [slope])).toBeLessThan(DIFFERENCE_ERROR);
  }

  it("agrees with the example's plain loops", async () => {
    const differences = await example(device);
    expect(Object.keys(differences)).toHaveLength(8);
    for (const difference of Object.values(differences)) expect(difference).toBeLessThan(2e-5);
  });

  describe("patchEmbedding", () => {
    const [v, c, n, k] = [11, 40, 6, 3];
    const ids = integers(n * k, v, 1);
    const table = normals(v * c, 2);
    const dout = normals(n * c, 3);
    const forward = (values: ArrayLike<number>): Tensor<"f32"> =>
      patchEmbedding(i32([n * k], ids), f32([v, c], values), { patchSize: k });

    it("has the gradient that central differences have", async () => {
      const gradient = await patchEmbedding.backward(f32([n, c], dout), i32([n, k], ids), { vocabulary: v }).read();
      await checkAlong(table, normals(v * c, 4), gradient, async (x) => dot(await forward(x).read(), dout));
    });

    it("writes to `out` and takes tokens of any shape", async () => {
      const out = new Tensor(device, "f32", [n, c]);
      const returned = patchEmbedding(i32([2, 3, k], ids), f32([v, c], table), { patchSize: k, out });
      expect(returned).toBe(out);
      expect(await out.read()).toEqual(await forward(table).read());
    });

    it("adds to `dtable`", async () => {
      const dtable = f32([v, c], normals(v * c, 5));
      const upstream = f32([n, c], dout);
      const alone = await patchEmbedding.backward(upstream, i32([n * k], ids), { vocabulary: v }).read();
      expect(patchEmbedding.backward(upstream, i32([n * k], ids), { dtable })).toBe(dtable);
      expect(
        relativeError(
          await dtable.read(),
          alone.map((x, i) => x + normals(v * c, 5)[i]!),
        ),
      ).toBeLessThan(1e-6);
    });

    it("writes the gradient to `out`, whatever it held", async () => {
      const out = f32([v, c], normals(v * c, 5));
      const upstream = f32([n, c], dout);
      const alone = await patchEmbedding.backward(upstream, i32([n * k], ids), { vocabulary: v }).read();
      expect(patchEmbedding.backward(upstream, i32([n * k], ids), { out })).toBe(out);
      expect(await out.read()).toEqual(alone);
    });

    it("sums tokens that are everywhere and tokens that are rare", async () => {
      const [rows, size, cols] = [1300, 700, 8];
      const tokens = Int32Array.from(integers(rows, size, 6), (id, i) => (i % 2 === 0 ? 350 : id));
      const upstream = normals(rows * cols, 7);
      const expected = new Float64Array(size * cols);
      tokens.forEach((id, i) => {
        for (let j = 0; j < cols; ++j) expected[id * cols + j]! += upstream[i * cols + j]!;
      });
      const dtable = patchEmbedding.backward(f32([rows, cols], upstream), i32([rows], tokens), { vocabulary: size });
      expect(relativeError(await dtable.read(), expected)).toBeLessThan(1e-6);
    });

    it.each([0, -1, 1.5, 4, NaN])("refuses patch size %d for 18 tokens", (patchSize) => {
      const call = (): unknown => patchEmbedding(i32([18], ids), f32([v, c], table), { patchSize });
      expect(call).toThrow(RangeError);
      expect(call).toThrow(`patchEmbedding: patchSize: expected a divisor of the 18 tokens but received ${patchSize}`);
    });

    it("names a tensor of the wrong rank, shape, dtype or kind", () => {
      const tokens = i32([n * k], ids);
      expect(() => patchEmbedding(tokens, f32([v * c], table), { patchSize: k })).toThrow(
        "patchEmbedding: table: expected shape [V, C] but received [440]",
      );
      const out = new Tensor(device, "f32", [n, c + 1]);
      expect(() => patchEmbedding(tokens, f32([v, c], table), { patchSize: k, out })).toThrow("[6, 40]");
      const bf16 = new Tensor(device, "bf16", [v, c]) as unknown as Tensor<"f32">;
      expect(() => patchEmbedding.backward(f32([n, c], dout), tokens, { dtable: bf16 })).toThrow(TypeError);
      const nothing = null as unknown as Tensor<"f32">;
      expect(() => patchEmbedding(tokens, nothing, { patchSize: k })).toThrow(
        new TypeError("patchEmbedding: table: expected a Tensor but received null"),
      );
    });

    it("reports an id outside the table when it is waited for", async () => {
      const out = patchEmbedding(i32([2], [1, v]), f32([v, c], table), { patchSize: 1 });
      await expect(out.read()).rejects.toThrow(RangeError);
    });
  });

  describe("flashAttention", () => {
    const [b, t, h, g, d] = [1, 9, 4, 2, 32];
    const inputs = [normals(b * t * h * d, 11), normals(b * t * g * d, 12), normals(b * t * g * d, 13)] as const;
    const dout = normals(b * t * h * d, 14, "f32", 0.2);
    const tensors = (values: readonly Float64Array[]) => ({
      q: f32([b, t, h, d], values[0]!),
      k: f32([b, t, g, d], values[1]!),
      v: f32([b, t, g, d], values[2]!),
    });

    it.each([{}, { scale: 0.1 }, { window: 4 }])(
      "has the gradient that central differences have, %p",
      async (options) => {
        const { q, k, v } = tensors(inputs);
        const { out, lse } = flashAttention(q, k, v, options);
        expect(lse.shape).toEqual([b, h, t]);
        const upstream = f32([b, t, h, d], dout);
        const { dq, dk, dv } = flashAttention.backward(upstream, { q, k, v, out, lse, ...options });
        for (const [i, gradient] of [dq, dk, dv].entries()) {
          const values = await gradient.read();
          await checkAlong(
            inputs[i]!,
            Float64Array.from(values, (x) => x / Math.hypot(...values)),
            values,
            async (x) => {
              const moved = tensors(inputs.map((input, j) => (i === j ? x : input)));
              return dot(await flashAttention(moved.q, moved.k, moved.v, options).out.read(), dout);
            },
          );
        }
      },
    );

    it("scales by 1/sqrt(D) where no scale is given", async () => {
      const { q, k, v } = tensors(inputs);
      const scaled = flashAttention(q, k, v, { scale: 1 / Math.sqrt(d) });
      expect(await flashAttention(q, k, v).out.read()).toEqual(await scaled.out.read());
    });

    it("writes to `out`, forward and backward", async () => {
      const { q, k, v } = tensors(inputs);
      const upstream = f32([b, t, h, d], dout);
      const fresh = flashAttention(q, k, v);
      const gradients = flashAttention.backward(upstream, { q, k, v, ...fresh });
      const whole = f32([b, t, h, 2 * d], new Float32Array(2 * b * t * h * d));
      const strided = whole.narrow(3, d, d);
      const lse = new Tensor(device, "f32", [b, h, t]);
      expect(flashAttention(q, k, v, { out: { out: strided, lse } })).toEqual({ out: strided, lse });
      expect(await lse.read()).toEqual(await fresh.lse.read());
      const [row] = [await fresh.out.read()];
      const interleaved = await whole.read();
      expect(interleaved.filter((_, i) => i % (2 * d) >= d)).toEqual(row);
      expect(interleaved.every((x, i) => i % (2 * d) >= d || x === 0)).toBe(true);
      const expected = await Promise.all(Object.values(gradients).map((each) => each.read()));
      const reused = { dq: f32(q.shape, inputs[0]), dk: f32(k.shape, inputs[1]), dv: f32(v.shape, inputs[2]) };
      const again = flashAttention.backward(upstream, { q, k, v, ...fresh }, { out: reused });
      expect([again.dq, again.dk, again.dv]).toEqual([reused.dq, reused.dk, reused.dv]);
      expect(await Promise.all(Object.values(reused).map((each) => each.read()))).toEqual(expected);
    });

    it("names a tensor of the wrong rank or shape", () => {
      const { q, k, v } = tensors(inputs);
      expect(() => flashAttention(q.reshape([t, h * d]), k, v)).toThrow(
        `flashAttention: q: expected shape [B, Tq, H, D] but received [${t}, ${h * d}]`,
      );
      expect(() => flashAttention(q, k, v.narrow(1, 0, 3))).toThrow(
        new RangeError(`flashAttention: v: expected shape [1, ${t}, ${g}, ${d}] but received [1, 3, ${g}, ${d}]`),
      );
    });
  });

  describe("patchCrossEntropy", () => {
    const [n, v, k] = [5, 23, 4];
    const scores = normals(n * v, 21);
    const ids = integers(n * k, v, 22).map((id, i) => (i === 7 || i >= (n - 1) * k ? -100 : i % k === 3 ? 5 : id));
    const loss = async (values: ArrayLike<number>, weights?: readonly number[]): Promise<number> =>
      (await patchCrossEntropy(f32([n, v], values), i32([n, k], ids), { weights }).loss.read())[0]!;

    it.each([undefined, [1, 0.5, 0, 0.25]])(
      "has the gradient that central differences have, weights %p",
      async (weights) => {
        const logits = f32([n, v], scores);
        const result = patchCrossEntropy.backward(logits, i32([n, k], ids), { weights });
        expect(result.dlogits).toBe(logits);
        const gradient = await result.dlogits.read();
        await checkAlong(
          scores,
          Float64Array.from(gradient, (x) => x / Math.hypot(...gradient)),
          gradient,
          (x) => loss(x, weights),
        );
        expect((await result.loss.read())[0]).toBe(await loss(scores, weights));
        const losses = await result.losses.read();
        const total = losses.reduce((sum, x) => sum + x, 0);
        expect(relativeError([total], [await loss(scores, weights)])).toBeLessThan(1e-6);
      },
    );

    it("writes to `out`", async () => {
      for (const kernel of [patchCrossEntropy, patchCrossEntropy.backward]) {
        const fresh = kernel(f32([n, v], scores), i32([n, k], ids));
        const out = { loss: f32([1], [7]), losses: f32([n], normals(n, 5)) };
        const returned = kernel(f32([n, v], scores), i32([n, k], ids), { out });
        expect([returned.loss, returned.losses]).toEqual([out.loss, out.losses]);
        expect(await out.loss.read()).toEqual(await fresh.loss.read());
        expect(await out.losses.read()).toEqual(await fresh.losses.read());
      }
    });

    it("leaves the logits alone in the forward", async () => {
      const logits = f32([n, v], scores);
      patchCrossEntropy(logits, i32([n, k], ids));
      expect(await logits.read()).toEqual(Float32Array.from(scores));
    });

    it("serves a row that is longer than a block's registers", async () => {
      const wide = 9001;
      const row = normals(wide, 23, "f32", 2);
      const labels = Int32Array.of(8999, 0, 8999, 4500);
      const logits = f32([1, wide], row);
      const { losses } = patchCrossEntropy.backward(logits, i32([1, 4], labels));
      const expected = crossEntropy(row, labels, labelCoefficients(labels, [0.25, 0.25, 0.25, 0.25]), 1);
      expect(relativeError(await losses.read(), expected.losses)).toBeLessThan(2e-6);
      expect(relativeError(await logits.read(), expected.gradient)).toBeLessThan(2e-6);
    });

    it("names weights of the wrong number and labels of the wrong shape", () => {
      const logits = f32([n, v], scores);
      expect(() => patchCrossEntropy(logits, i32([n, k], ids), { weights: [1] })).toThrow(
        "patchCrossEntropy: weights: expected 4 numbers (one a label of a row) but received 1",
      );
      expect(() => patchCrossEntropy.backward(logits, i32([n * k], ids))).toThrow(
        "patchCrossEntropy.backward: labels: expected shape [5, K] but received [20]",
      );
      expect(() => patchCrossEntropy(logits, i32([k, n], ids))).toThrow(RangeError);
    });
  });

  it("refuses an `out` that overlaps what it reads, and changes nothing", async () => {
    const f = (...shape: number[]): Tensor<"f32"> =>
      f32(
        shape,
        normals(
          shape.reduce((a, b) => a * b),
          31,
        ),
      );
    const [q, k, v, dq] = [f(1, 3, 2, 32), f(1, 3, 1, 32), f(1, 3, 1, 32), f(1, 3, 2, 32)];
    const { out, lse } = flashAttention(q, k, v);
    const saved = { q, k, v, out, lse };
    const twice = f(1, 3, 1, 32);
    const [logits, labels] = [f(4, 9), i32([4, 2], [1, 2, 3, 4, 5, 6, 7, 8])];
    const row = logits.reshape([36]).narrow(0, 8, 4);
    const [tokens, dout, losses] = [i32([4], [0, 1, 2, 3]), f(4, 8), f(4)];
    const refused: [string, string, () => unknown][] = [
      ["patchEmbedding.backward: out", "dout", () => patchEmbedding.backward(dout, tokens, { out: dout })],
      ["flashAttention: out.out", "q", () => flashAttention(q, k, v, { out: { out: q, lse } })],
      [
        "flashAttention.backward: out.dk",
        "v",
        () => flashAttention.backward(out, saved, { out: { dq, dk: v, dv: k } }),
      ],
      [
        "flashAttention.backward: out.dk",
        "dv",
        () => flashAttention.backward(out, saved, { out: { dq, dk: twice, dv: twice } }),
      ],
      [
        "patchCrossEntropy.backward: out.losses",
        "logits",
        () => patchCrossEntropy.backward(logits, labels, { out: { loss: f(1), losses: row } }),
      ],
      [
        "patchCrossEntropy.backward: out.loss",
        "logits",
        () => patchCrossEntropy.backward(logits, labels, { out: { loss: row.narrow(0, 2, 1), losses } }),
      ],
      [
        "patchCrossEntropy.backward: out.loss",
        "losses",
        () => patchCrossEntropy.backward(logits, labels, { out: { loss: losses.narrow(0, 2, 1), losses } }),
      ],
    ];
    const read = async () => Promise.all([q, k, v, out, lse, dq, logits, dout, losses].map((each) => each.read()));
    const before = await read();
    for (const [argument, other, call] of refused) {
      expect(call).toThrow(RangeError);
      expect(call).toThrow(`${argument}: expected memory apart from that of ${other}`);
    }
    expect(await read()).toEqual(before);
  });

  it("refuses two places for one gradient", () => {
    const [dout, out] = [f32([2, 8], new Float32Array(16)), f32([4, 8], new Float32Array(32))];
    const target = { out, dtable: out };
    expect(() => patchEmbedding.backward(dout, i32([2], [0, 1]), target)).toThrow(
      new TypeError(
        "patchEmbedding.backward: target: expected one of vocabulary, out and dtable but received out and dtable",
      ),
    );
    const both = { out, vocabulary: 4 };
    expect(() => patchEmbedding.backward(dout, i32([2], [0, 1]), both)).toThrow(/but received vocabulary and out$/);
  });

  it("takes the memory of one result for a loop that disposes of them", async () => {
    const [rows, cols] = [64, 256];
    const tokens = i32([rows], new Int32Array(rows));
    const table = f32([2, cols], normals(2 * cols, 33));
    const expected = await patchEmbedding(tokens, table, { patchSize: 1 }).read();
    const { reservedBytes } = device.memory();
    const reads: Promise<Float32Array>[] = [];
    for (let i = 0; i < 50; ++i) {
      using out = patchEmbedding(tokens, table, { patchSize: 1 });
      if (i % 10 === 9) reads.push(out.read());
    }
    expect(device.memory().reservedBytes - reservedBytes).toBeLessThanOrEqual(4 * rows * cols);
    for (const read of await Promise.all(reads)) expect(read).toEqual(expected);
  });

  it("frees what it works with", async () => {
    const tokens = i32([4], [0, 1, 2, 3]);
    const dout = f32([4, 8], new Float32Array(32));
    const dtable = f32([9, 8], new Float32Array(72));
    await device.synchronize();
    const before = device.memory().usedBytes;
    for (let i = 0; i < 5; ++i) patchEmbedding.backward(dout, tokens, { dtable });
    await device.synchronize();
    expect(device.memory().usedBytes).toBeLessThanOrEqual(before); // less where handles were collected
  });
});

it("exports the kernels and what they need", () => {
  expect(Object.keys(api).sort()).toEqual([
    "Device",
    "DeviceError",
    "OutOfMemoryError",
    "Tensor",
    "flashAttention",
    "patchCrossEntropy",
    "patchEmbedding",
  ]);
});
