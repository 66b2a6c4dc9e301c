import { describe, expect, it } from "@jest/globals";
import type { Tensor } from "../../lib/native.js";
import { dataOf, enqueueBackward, fuse, problems, rotatedBack, scaleOf, title } from "../support/attention_problem.js";
import { grid, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { type Round, rounding, exact as unrounded } from "../support/numbers.js";
import { attentionBackward } from "../support/reference_attention.js";

describe.each(grid)("attention backward on $backend in $dtype", ({ backend, dtype }) => {
  it.each(problems(backend))(title, async (p) => {
    const memory = new Memory(open(backend), { guard: p.guard });
    const data = dataOf(p, dtype);
    const gradients = enqueueBackward(memory, p, dtype, data);
    const { dout, q, k, v, out, lse } = data;
    const round = rounding[dtype];
    const expected = (rounded: Float64Array, by: Round) => {
      const { dq, dk, dv } = attentionBackward(dout, q, k, v, rounded, lse, p, scaleOf(p), by);
      return [...rotatedBack(p, dq, dk, by), dv];
    };
    const exact = expected(out, unrounded);
    const plain = expected(out.map(round), round);
    const got: Float64Array[] = [];
    for (const gradient of gradients) got.push(await values(gradient));
    if (p.fused) {
      expectClose(got[0]!, fuse(p, exact), fuse(p, plain));
    } else if (p.keys === 1 || p.window === 1) {
      // The softmax of one score is constant: dq and dk are 0 but for rounding, small beside dv.
      expectClose(fuse(p, got), fuse(p, exact), fuse(p, plain));
    } else {
      for (let i = 0; i < 3; ++i) expectClose(got[i]!, exact[i]!, plain[i]!);
    }
    await memory.verify();
  });

  it.each([0, 2, 33])(
    "gives no gradient to a key that is hidden from the only query that matters, window %i",
    async (window) => {
      const p = { ...problems(backend).find(({ queries, keys }) => queries === 35 && keys === 65)!, window };
      const data = dataOf(p, dtype);
      const width = p.heads * p.headDim;
      for (const query of [0, 1, 16, 31, 32]) {
        const memory = new Memory(open(backend));
        const dout = data.dout.map((value, i) => (Math.floor(i / width) % p.queries === query ? value : 0));
        const [, dk, dv] = enqueueBackward(memory, p, dtype, { ...data, dout });
        const end = query + p.keys - p.queries + 1;
        const first = end - (window || p.keys);
        for (const gradient of [dk!, dv!]) {
          const rows = await values(gradient);
          const nonzero = Array.from({ length: p.keys }, (_, key) =>
            rows.subarray(key * p.headDim, (key + 1) * p.headDim).some((value) => value !== 0),
          );
          expect(nonzero).toEqual(nonzero.map((_, key) => key >= first && key < end));
        }
        await memory.verify();
      }
    },
  );

  it("does not read the queries that see none of a tile's keys", async () => {
    const p = { ...problems(backend)[0]!, queries: 512, keys: 512, headDim: 64, window: 64 };
    const data = dataOf(p, dtype);
    const far = (values: Float64Array): Float64Array => values.map((value, i) => (i < 256 * p.headDim ? value : NaN));
    const memory = new Memory(open(backend));
    const [dq, dk, dv] = enqueueBackward(memory, p, dtype, { ...data, q: far(data.q), dout: far(data.dout) });
    const finite = async (gradient: Tensor): Promise<boolean[]> => {
      const rows = await values(gradient);
      const at = (row: number) => rows.subarray(row * p.headDim, (row + 1) * p.headDim).every(Number.isFinite);
      return [0, 63, 127, 511].map(at);
    };
    expect(await finite(dq!)).toEqual([true, true, true, false]);
    for (const gradient of [dk!, dv!]) expect(await finite(gradient)).toEqual([true, true, true, false]);
    await memory.verify();
  });

  it("gives the same bits again", () => {
    const some = problems(backend)
      .filter((p) => p.guard === 64)
      .slice(1, 8)
      .map((p) => ({ p, data: dataOf(p, dtype) }));
    return expectSameBits(backend, (memory) => some.flatMap(({ p, data }) => enqueueBackward(memory, p, dtype, data)));
  });
});
