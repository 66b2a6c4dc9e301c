/** Which algorithm of a product is chosen, and what is printed of it. */
import { expect, it } from "@jest/globals";
import { summarize, summaryText, totals } from "../../lib/bench/products/summary.js";
import { choose } from "../../lib/bench/products/tune.js";
import { madeTable } from "../support/made_table.js";

const chosen = (...seconds: (number | null)[]) => {
  const candidates = seconds.map((each, index) => ({ algorithm: Uint8Array.of(index), seconds: each }));
  return choose(candidates)?.algorithm[0] ?? null;
};

it("takes the fastest, unless the first is as fast but for noise", () => {
  expect(chosen(5, 4, 3, 4)).toBe(2);
  expect(chosen(5, 3, 3)).toBe(1);
  expect(chosen(3, 2.98, 3)).toBe(0);
  expect(chosen(3, 2.98, 2.96)).toBe(2);
  expect(chosen(null, 3, null, 2.98)).toBe(1);
  expect(chosen(null, null)).toBeNull();
  expect(chosen()).toBeNull();
});

it("prints what the library would take, and what is taken", () => {
  const [product] = madeTable.products;
  const candidates = [{ algorithm: product!.algorithm, seconds: 2e-3 }];
  const large = { ...product!, m: 32768, n: 2752, k: 1024, transposeA: false, transposeB: true, candidates };
  const products = summarize({ ...madeTable, products: [product!, large] });
  expect(products[1]).toEqual({
    product: "TN [2, 3] over 4, bf16 to f32",
    calls: 4,
    candidates: 2,
    firstSeconds: 4e-6,
    seconds: 3e-6,
    flopsPerSecond: 48 / 3e-6,
  });
  const sum = totals(products);
  expect([sum.firstSeconds, sum.seconds]).toEqual([expect.closeTo(8.016e-3, 9), expect.closeTo(8.012e-3, 9)]);
  expect(summaryText(products).split("\n")).toEqual([
    "product                                  calls  algorithms  first choice      best       reached    gain",
    "NT [32768, 2752] over 1024, bf16 to f32      4           1      2.000 ms  2.000 ms  92.3 TFLOP/s   0.0 %",
    "TN [2, 3] over 4, bf16 to f32                4           2      4.000 us  3.000 us  16.0 MFLOP/s  25.0 %",
    "all calls of one step of each stage and an evaluation: 8.016 ms by the first choices, 8.012 ms by the best (0.0 %)",
  ]);
});
