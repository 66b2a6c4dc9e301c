/** The methods for the algorithms of products, on a device that has one for each; test/cli/tune.test.ts has others. */
import { describe, expect, it } from "@jest/globals";
import { DeviceError } from "../../lib/errors.js";
import type { Product } from "../../lib/native.js";
import { backends, open } from "../support/backends.js";
import { failure } from "../support/failure.js";

const product: Product = {
  m: 2,
  n: 3,
  k: 4,
  transposeA: false,
  transposeB: true,
  inputs: "bf16",
  output: "f32",
  alignment: [256, 2, 16],
};

describe.each(backends)("products on %s", (backend) => {
  const device = open(backend);
  const several = device.productLibrary !== null;

  it("says whether there is a choice", () => {
    expect(several).toBe(backend === "cuda");
    expect(device.computeCapability).toEqual(backend === "cpu" ? null : expect.stringMatching(/^\d+\.\d$/));
  });

  (several ? it.skip : it)("has nothing to choose from", () => {
    for (const call of [
      () => device.products(),
      () => device.productAlgorithms(product),
      () => device.useProductTable([{ ...product, algorithm: new Uint8Array(64) }]),
      () => device.useProductTable([]),
    ]) {
      const error = failure(call);
      expect(error).toBeInstanceOf(DeviceError);
      expect(error.message).toMatch(new RegExp(`^\\w+: ${backend} has one algorithm for each matrix product$`));
    }
  });

  it.each([
    [{ m: 0 }, "RangeError", /^productAlgorithms: product\.m: expected a whole number from 1 to \d+ but received 0$/],
    [{ n: 1.5 }, "RangeError", /product\.n: .* received 1\.5$/],
    [{ k: "4" }, "TypeError", /product\.k: .* received the string "4"$/],
    [{ transposeA: 1 }, "TypeError", /product\.transposeA: expected a boolean but received 1$/],
    [{ inputs: "i32" }, "TypeError", /product\.inputs: expected f32 or bf16 but received the string "i32"$/],
    [{ output: null }, "TypeError", /product\.output: expected f32 or bf16 but received null$/],
    [{ alignment: 256 }, "TypeError", /product\.alignment: expected an array of 3 numbers but received 256$/],
    [
      { alignment: [256, 3, 16] },
      "RangeError",
      /alignment\[1\]: expected a power of two from 2 to 256 but received 3$/,
    ],
    [{ alignment: [256, 2] }, "TypeError", /alignment\[2\]: expected .* but received undefined$/],
  ])("refuses %j", (change, name, message) => {
    const wrong = { ...product, ...change } as Product;
    const error = failure(() => device.productAlgorithms(wrong));
    expect([error.name, error.message]).toEqual([name, expect.stringMatching(message)]);
    const inTable = failure(() => device.useProductTable([{ ...wrong, algorithm: new Uint8Array(64) }]));
    expect([inTable.name, inTable.message]).toEqual([name, expect.stringMatching(/^useProductTable: table\[0\]\./)]);
  });

  it("refuses what is no table and no algorithm", () => {
    const calls: readonly [unknown, RegExp][] = [
      [undefined, /^useProductTable: table: expected an array but received undefined$/],
      [[null], /table\[0\]: expected an object but received null$/],
      [[() => product], /table\[0\]: expected an object but received a function$/],
      [[product], /table\[0\]\.algorithm: expected a Uint8Array but received undefined$/],
      [[{ ...product, algorithm: new Uint8Array(63) }], /algorithm: expected 64 bytes but received 63$/],
      [
        [{ ...product, algorithm: new Float64Array(8) }],
        /algorithm: expected a Uint8Array but received another object$/,
      ],
    ];
    for (const [table, message] of calls) {
      const call = () => (device.useProductTable as (table: unknown) => unknown).call(device, table);
      expect(failure(call).message).toMatch(message);
    }
  });
});
