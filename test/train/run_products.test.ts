/** What runs of one process do with the product table of the device that they share. */
import { expect, it } from "@jest/globals";
import type { Device } from "../../lib/device.js";
import { ConfigError, DeviceError } from "../../lib/errors.js";
import type { TableProduct } from "../../lib/native.js";
import { RunProducts } from "../../lib/train/run_products.js";
import { madeTable } from "../support/made_table.js";

const loaded = (name: string) => ({ path: name, text: "", sha256: `hash of ${name}`, table: madeTable });

/** A device that keeps the tables it is given. */
function madeDevice(index: number, refuse: Error | null = null) {
  const tables: number[] = [];
  const seen = [{ inTable: true }, { inTable: false }, { inTable: true }];
  const device = {
    backend: "cuda",
    index,
    threads: 0,
    productLibrary: "cuBLASLt 13.0.2",
    useProductTable: async (table: readonly TableProduct[]) => {
      if (refuse !== null && table.length > 0) throw refuse;
      tables.push(table.length);
    },
    products: async () => seen,
  };
  return { device: device as unknown as Device, tables, seen };
}

it("gives the device the table, shares it, and takes it away after the last run", async () => {
  const { device, tables } = madeDevice(0);
  const first = await RunProducts.open(device, loaded("a"));
  const second = await RunProducts.open(device, loaded("a"));
  expect(tables).toEqual([1]);
  await first.close();
  await first.close();
  expect(tables).toEqual([1]);
  await second.close();
  expect(tables).toEqual([1, 0]);
});

it("refuses a run with another table while one is open, and not after it", async () => {
  const { device } = madeDevice(1);
  for (const [mine, others] of [
    [loaded("a"), [loaded("b"), null]],
    [null, [loaded("a")]],
  ] as const) {
    const run = await RunProducts.open(device, mine);
    for (const other of others) {
      await expect(RunProducts.open(device, other)).rejects.toThrow(
        new ConfigError(
          `productTable: expected ${mine?.sha256 ?? "null"}, which an open run of this process uses on cuda:1, ` +
            `but received ${other?.sha256 ?? "null"}`,
        ),
      );
    }
    await (await RunProducts.open(madeDevice(2).device, others[0])).close(); // another device has its own
    await run.close();
  }
  await (await RunProducts.open(device, loaded("b"))).close();
});

it("names the file where the library refuses an algorithm, and leaves nothing open", async () => {
  const { device } = madeDevice(3, new RangeError("cuBLASLt refuses the algorithm of X"));
  await expect(RunProducts.open(device, loaded("a"))).rejects.toEqual(
    expect.objectContaining({
      name: "ConfigError",
      message:
        "a: expected algorithms that run on this device but received one that does not: " +
        "cuBLASLt refuses the algorithm of X",
    }),
  );
  await (await RunProducts.open(device, null)).close();
  const lost = new DeviceError("lost");
  await expect(RunProducts.open(madeDevice(4, lost).device, loaded("a"))).rejects.toBe(lost);
});

it("says how many products are in the table, again only where that has changed", async () => {
  const { device, seen } = madeDevice(5);
  const said: string[] = [];
  const run = await RunProducts.open(device, loaded("a"), (message) => said.push(message));
  await run.report();
  await run.report();
  seen.splice(1, 1);
  await run.report();
  await run.close();
  expect(said).toEqual([
    "2 of 3 matrix products have their algorithm from a; the others have the first choice of cuBLASLt 13.0.2",
    "2 of 2 matrix products have their algorithm from a",
  ]);
  const without = await RunProducts.open(device, null, (message) => said.push(message));
  await without.report();
  await without.close();
  expect(said).toHaveLength(2);
});
