import { describe, expect, it } from "@jest/globals";
import { native, type Tensor } from "../../lib/native.js";
import { backends, cases, open } from "../support/backends.js";
import { expectSameBits } from "../support/closeness.js";
import { bits, Memory, values } from "../support/memory.js";
import { bf16Bits, fromBf16Bits, integers, normals, rounding } from "../support/numbers.js";

const dtypes = ["f32", "bf16", "i32"] as const;
const guards = [64, 61];

describe.each(backends)("fill on %s", (backend) => {
  const sizes = cases(backend, [1, 3, 31, 123, 4096, 40_003], [1, 31, 1025]);

  it.each(dtypes.flatMap((dtype) => sizes.flatMap((size) => guards.map((guard) => ({ dtype, size, guard })))))(
    "writes $size elements of $dtype and no other, guard $guard",
    async ({ dtype, size, guard }) => {
      for (const value of [0, -2.7, 2.7, 1e6 / 3]) {
        const memory = new Memory(open(backend), { guard });
        const out = memory.output(dtype, [size]);
        native.fill(out, value);
        expect((await values(out)).every((x) => x === rounding[dtype](value))).toBe(true);
        await memory.verify();
      }
    },
  );

  it("fills a view without touching its neighbours", async () => {
    const memory = new Memory(open(backend));
    const whole = memory.inout("f32", [5, 7], new Float64Array(35).fill(3));
    native.fill(whole.narrow(0, 1, 2), 9);
    expect([...(await values(whole))]).toEqual(Array.from({ length: 35 }, (_, i) => (i >= 7 && i < 21 ? 9 : 3)));
    await memory.verify();
  });
});

describe.each(backends)("copy on %s", (backend) => {
  const rows = [1, 3, 500];
  const pairs = [
    ["f32", "f32"],
    ["f32", "bf16"],
    ["bf16", "f32"],
    ["bf16", "bf16"],
    ["i32", "i32"],
  ] as const;

  it.each(pairs.flatMap(([to, from]) => rows.flatMap((n) => guards.map((guard) => ({ to, from, n, guard })))))(
    "$n rows of $from to $to, contiguous, guard $guard",
    async ({ to, from, n, guard }) => {
      const memory = new Memory(open(backend), { guard });
      const data = from === "i32" ? Float64Array.from(integers(n * 37, 2 ** 30, 1)) : normals(n * 37, 1, from, 100);
      const out = memory.output(to, [n, 37]);
      native.copy(out, memory.input(from, [n, 37], data));
      expect(await values(out)).toEqual(data.map(rounding[to]));
      await memory.verify();
    },
  );

  it.each(pairs)("to %s from %s between strided views of four dimensions", async (to, from) => {
    const shape = [2, 5, 3, 12];
    const data = from === "i32" ? Float64Array.from(integers(360, 1000, 2)) : normals(360, 2, from);
    const memory = new Memory(open(backend));
    const target = memory.inout(to, shape, new Float64Array(360).fill(-1));
    const source = memory.input(from, shape, data);
    const inside = (t: Tensor, head: number, column: number): Tensor =>
      t.narrow(1, 1, 3).narrow(2, head, 2).narrow(3, column, 7);
    native.copy(inside(target, 1, 2), inside(source, 0, 5));
    const expected = new Float64Array(360).fill(-1);
    for (let b = 0; b < 2; ++b)
      for (let t = 1; t < 4; ++t)
        for (let h = 0; h < 2; ++h)
          for (let d = 0; d < 7; ++d) {
            const row = (b * 5 + t) * 3;
            expected[(row + h + 1) * 12 + d + 2] = rounding[to](data[(row + h) * 12 + d + 5]!);
          }
    expect(await values(target)).toEqual(expected);
    await memory.verify();
  });

  it("rounds f32 to bf16 to nearest even, keeps infinities and NaN", async () => {
    const edges = [
      0,
      -0,
      1 + 2 ** -8,
      1 + 3 * 2 ** -8,
      -1 - 2 ** -8,
      3.4e38,
      -3.4e38,
      Infinity,
      -Infinity,
      2 ** -126,
      65504,
      0.1,
    ];
    const memory = new Memory(open(backend));
    const out = memory.output("bf16", [edges.length + 1]);
    native.copy(out, memory.input("f32", [edges.length + 1], [...edges, NaN]));
    const got = new Uint16Array((await bits(out)).slice().buffer);
    expect([...got.slice(0, -1)]).toEqual(edges.map((x) => bf16Bits(Math.fround(x))));
    expect(fromBf16Bits(got.at(-1)!)).toBeNaN();
    await memory.verify();
  });

  it("rounds subnormal numbers to bf16 like all others", async () => {
    const small = [2 ** -133, 2 ** -134, 3 * 2 ** -134, -(2 ** -127), 1e-45, 1e-39];
    const memory = new Memory(open(backend));
    const out = memory.output("bf16", [small.length]);
    native.copy(out, memory.input("f32", [small.length], small));
    expect([...(await values(out))]).toEqual(small.map(rounding.bf16));
    await memory.verify();
  });

  it("widens every bf16 number exactly", async () => {
    const count = backend === "simt" ? 1024 : 65536;
    const all = Float64Array.from({ length: count }, (_, i) => fromBf16Bits(i * (65536 / count)));
    const memory = new Memory(open(backend));
    const out = memory.output("f32", [count]);
    native.copy(out, memory.input("bf16", [count], all));
    expect(await values(out)).toEqual(all);
    await memory.verify();
  });

  it("gives the same bits again", () =>
    expectSameBits(backend, (memory) => {
      const out = memory.output("bf16", [123, 40]);
      native.copy(out, memory.input("f32", [123, 40], normals(123 * 40, 3)));
      return [out];
    }));
});
