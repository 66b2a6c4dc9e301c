import { describe, expect, it } from "@jest/globals";
import { native } from "../../lib/native.js";
import { backends, cases, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { normal } from "../support/reference_training.js";

describe.each(backends)("normal on %s", (backend) => {
  const device = open(backend);

  async function draw(size: number, std: number, seed: number, offset: number): Promise<Float64Array> {
    const memory = new Memory(device, { guard: 61 });
    const out = memory.output("f32", [size]);
    native.normal(out, std, seed, offset);
    const drawn = await values(out);
    await memory.verify();
    return drawn;
  }

  it.each([
    [1, 0, 0],
    [3, 1, 1],
    [31, 2 ** 40 + 3, 2],
    [123, 7, 2 ** 33 + 3],
  ])("%i elements of seed %d from element %d are Philox and Box-Muller", async (size, seed, offset) => {
    const expected = Float64Array.from(
      { length: size },
      (_, i) => 0.02 * normal(BigInt(seed), BigInt(offset) + BigInt(i)),
    );
    expectClose(await draw(size, 0.02, seed, offset), expected);
  });

  it("has the moments of a normal distribution", async () => {
    const count = cases(backend, [200_000], [8192])[0]!;
    const drawn = await draw(count, 3, 11, 0);
    const moment = (power: number): number => drawn.reduce((sum, x) => sum + (x / 3) ** power, 0) / count;
    // Five standard errors: the moments' variances over n draws are 1, 2, 15 and 96.
    const error = (variance: number): number => 5 * Math.sqrt(variance / count);
    expect(Math.abs(moment(1))).toBeLessThan(error(1));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(error(2));
    expect(Math.abs(moment(3))).toBeLessThan(error(15));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(error(96));
    const neighbours = drawn.slice(1).reduce((sum, x, i) => sum + (x * drawn[i]!) / 9, 0) / (count - 1);
    expect(Math.abs(neighbours)).toBeLessThan(error(1));
  });

  it("does not depend on how it is cut", async () => {
    const size = cases(backend, [10_001], [1001])[0]!;
    const whole = await draw(size, 1, 5, 17);
    for (const cut of [1, 2, 3, 257]) {
      expect(await draw(cut, 1, 5, 17)).toEqual(whole.slice(0, cut));
      expect(await draw(size - cut, 1, 5, 17 + cut)).toEqual(whole.slice(cut));
    }
  });

  it("differs with the seed, also in its high bits", async () => {
    const [a, b, c] = [await draw(8, 1, 1, 0), await draw(8, 1, 2, 0), await draw(8, 1, 2 ** 32 + 1, 0)];
    expect(a.some((x, i) => x === b[i] || x === c[i])).toBe(false);
  });

  it("gives zeros for a standard deviation of 0", async () => {
    expect((await draw(31, 0, 1, 0)).every((x) => x === 0)).toBe(true);
  });

  it("gives the same bits again", () =>
    expectSameBits(backend, (memory) => {
      const out = memory.output("f32", [123, 41]);
      native.normal(out, 1, 3, 0);
      return [out];
    }));
});
