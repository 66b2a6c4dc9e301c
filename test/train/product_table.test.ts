/** The file that `nextpatch tune` writes. */
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import type { Device } from "../../lib/device.js";
import { ConfigError } from "../../lib/errors.js";
import { checkPlace, placeOf, readTable, tableProducts, tableText } from "../../lib/train/product_table.js";
import { madeTable } from "../support/made_table.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

const refusal = async (text: string | null): Promise<string> => {
  if (text !== null) writeFileSync(path("t.json"), text);
  const error = await readTable(path("t.json")).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(ConfigError);
  const { message } = error as Error;
  expect(message.startsWith(`${path("t.json")}: `)).toBe(true);
  return message.slice(path("t.json").length + 2);
};

describe("a product table", () => {
  it("is read as it was written, with the SHA-256 of the file", async () => {
    writeFileSync(path("t.json"), tableText(madeTable));
    const { table, text, sha256 } = await readTable(path("t.json"));
    expect(table).toEqual(madeTable);
    expect(text).toBe(readFileSync(path("t.json"), "utf8"));
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(tableText(table)).toBe(text);
    writeFileSync(path("other.json"), tableText({ ...madeTable, device: "another" }));
    expect((await readTable(path("other.json"))).sha256).not.toBe(sha256);
    // Spaces do not count for its own checksum.
    writeFileSync(path("t.json"), JSON.stringify(JSON.parse(text)));
    expect((await readTable(path("t.json"))).table).toEqual(madeTable);
  });

  it("gives a device the chosen algorithms", () => {
    const [first] = tableProducts(madeTable);
    expect(first).toMatchObject({ m: 2, n: 3, k: 4, transposeA: true, alignment: [256, 128, 256] });
    expect(Buffer.from(first!.algorithm).toString("hex")).toBe(madeTable.products[0]!.algorithm);
  });

  it("is refused where it is missing or something else", async () => {
    expect(await refusal(null)).toBe("expected a product table but received a file that does not exist");
    expect(await refusal("{")).toMatch(/^expected a product table but received other text: /);
    for (const other of ["null", "[]", "3", "{}", '{"format":"x"}']) {
      expect(await refusal(other)).toMatch(/^format: expected "nextpatch product table" but received (nothing|"x")$/);
    }
  });

  it("is refused where it is damaged", async () => {
    const text = tableText(madeTable);
    const { algorithm } = madeTable.products[0]!;
    expect(await refusal(text.replace('"version": 1', '"version": 2'))).toBe("version: expected 1 but received 2");
    expect(await refusal(text.replaceAll(algorithm, algorithm.slice(2)))).toMatch(
      /^products\[0\]\.algorithm: expected 64 bytes in hexadecimal but received "/,
    );
    expect(await refusal(text.replace('"m": 2', '"m": "2"'))).toMatch(
      /^products\[0\]\.m: expected .* but received "2"$/,
    );
    for (const changed of [
      text.replace('"m": 2', '"m": 5'),
      text.replaceAll(algorithm, algorithm.replace("0", "1")),
      text.replace(/"sha256": "./, '"sha256": "x'),
    ]) {
      expect(changed).not.toBe(text);
      expect(await refusal(changed)).toMatch(
        /^expected content with the SHA-256 \w{64} but received one with \w{64}: the file is damaged$/,
      );
    }
  });

  it("is for one kind of device and one version of a library", () => {
    const { device: name, computeCapability, library: productLibrary } = madeTable;
    const loaded = { path: "t.json", text: "", sha256: "", table: madeTable };
    const device = { backend: "cuda", name, computeCapability, productLibrary } as Device;
    expect(placeOf(device)).toEqual({ device: name, computeCapability, library: productLibrary });
    expect(() => checkPlace(loaded, device)).not.toThrow();
    for (const other of [{ name: "B" }, { computeCapability: "8.0" }, { productLibrary: "cuBLASLt 13.0.1" }]) {
      const place = { name, computeCapability, productLibrary, ...other };
      expect(() => checkPlace(loaded, { ...device, ...other } as Device)).toThrow(
        new ConfigError(
          `t.json: expected a product table for ${place.name} (compute capability ${place.computeCapability}) with ` +
            `${place.productLibrary} but received one for A GPU (compute capability 9.0) with cuBLASLt 13.0.2`,
        ),
      );
    }
    expect(() => checkPlace(loaded, { ...device, backend: "cpu", productLibrary: null } as Device)).toThrow(
      new ConfigError(
        'productTable: expected null on cpu, which has one algorithm for each matrix product, but received "t.json"',
      ),
    );
  });
});
