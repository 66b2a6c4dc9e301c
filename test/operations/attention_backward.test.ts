import { describe, it } from "@jest/globals";
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
    } else if (p.keys === 1) {
      // The softmax of one score is constant: dq and dk are 0 but for rounding, small beside dv.
      expectClose(fuse(p, got), fuse(p, exact), fuse(p, plain));
    } else {
      for (let i = 0; i < 3; ++i) expectClose(got[i]!, exact[i]!, plain[i]!);
    }
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
