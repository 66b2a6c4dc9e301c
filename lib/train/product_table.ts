/**
 * The table of algorithms for matrix products: a JSON file that `nextpatch tune` writes, and that a run takes its
 * algorithms from. It holds for one kind of GPU and one version of the library.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { show } from "../arguments.js";
import { describeIssues } from "../config/problems.js";
import { inputLimits } from "../disk/input_limits.js";
import { parseJsonOf } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import { ConfigError, unusable } from "../errors.js";
import type { Device, TableProduct } from "../native.js";

const format = "nextpatch product table";
const version = 1;

/** 64 bytes that only the library can read. */
const algorithm = z.string().regex(/^[0-9a-f]{128}$/, { error: "expected 64 bytes in hexadecimal" });
const size = z.int().min(1);
const count = z.int().min(0);
const alignment = z.int().min(2).max(256);

const productSchema = z.strictObject({
  /** c [m, n] = op(a) [m, k] op(b) [k, n]. */
  m: size,
  n: size,
  k: size,
  transposeA: z.boolean(),
  transposeB: z.boolean(),
  inputs: z.enum(["f32", "bf16"]),
  output: z.enum(["f32", "bf16"]),
  /** Of the addresses of a, b and c. */
  alignment: z.tuple([alignment, alignment, alignment]),
  /** How often one step of each stage, and an evaluation, write its result, and add to it. */
  writes: count,
  adds: count,
  /** The choice: one of the candidates. */
  algorithm,
  /** In the library's order: without a table, the first that runs is used. */
  candidates: z
    .array(
      z.strictObject({
        algorithm,
        /** A call's, in the mean of writing and adding; null if it does not run, or gives other bits every time. */
        seconds: z.number().min(0).nullable(),
      }),
    )
    .min(1),
});

const tableSchema = z.strictObject({
  format: z.literal(format),
  version: z.literal(version),
  device: z.string(),
  computeCapability: z.string(),
  /** Name and version. */
  library: z.string(),
  products: z.array(productSchema),
  /** SHA-256 of all above, as JSON without spaces. */
  sha256: z.string(),
});

/** A product with the times of its algorithms, and the one that was chosen. */
export type TunedProduct = Readonly<z.output<typeof productSchema>>;

/** What a table holds. */
export type ProductTable = Readonly<Omit<z.output<typeof tableSchema>, "format" | "version" | "sha256">>;

/** A table that was read from a file. */
export interface LoadedTable {
  readonly path: string;
  /** The file's text, and its SHA-256 in hexadecimal. */
  readonly text: string;
  readonly sha256: string;
  readonly table: ProductTable;
}

/** The text of a table's file. */
export function tableText(table: ProductTable): string {
  const content = { format, version, ...table };
  return `${JSON.stringify({ ...content, sha256: sha256(JSON.stringify(content)) }, null, 1)}\n`;
}

/** @throws ConfigError naming the file, if it is missing, damaged or something else */
export async function readTable(path: string): Promise<LoadedTable> {
  let text: string;
  try {
    text = await readText(path, inputLimits.json);
  } catch (cause) {
    throw new ConfigError(`${path}: expected a product table but received ${unusable(cause)}`, { cause });
  }
  return { path, text, sha256: sha256(text), table: parseTable(text, path) };
}

function parseTable(text: string, path: string): ProductTable {
  const json = parseJsonOf(text, path, ConfigError, "a product table");
  const kind = typeof json === "object" && json !== null && "format" in json ? json.format : undefined;
  if (kind !== format) {
    throw new ConfigError(`${path}: format: expected "${format}" but received ${show(kind)}`);
  }
  const result = tableSchema.safeParse(json, { reportInput: true });
  if (!result.success) {
    const problems = describeIssues(result.error.issues, tableSchema).map((problem) => `${path}: ${problem}`);
    throw new ConfigError(problems[0]!, { problems });
  }
  const { sha256: expected, ...content } = json as { sha256: string };
  const found = sha256(JSON.stringify(content));
  if (found !== expected) {
    throw new ConfigError(
      `${path}: expected content with the SHA-256 ${expected} but received one with ${found}: the file is damaged`,
    );
  }
  const { format: _format, version: _version, sha256: _sha256, ...table } = result.data;
  return table;
}

/** The device and the library that a table is for. */
export function placeOf(device: Device): Omit<ProductTable, "products"> {
  const { name, computeCapability, productLibrary } = device;
  return { device: name, computeCapability: computeCapability ?? "none", library: productLibrary ?? "none" };
}

/**
 * Checks that a table was made for this device and this version of its library.
 * @throws ConfigError
 */
export function checkPlace({ path, table }: LoadedTable, device: Device): void {
  if (device.productLibrary === null) {
    throw new ConfigError(
      `productTable: expected null on ${device.backend}, which has one algorithm for each matrix product, ` +
        `but received ${show(path)}`,
    );
  }
  const words = (place: Omit<ProductTable, "products">) =>
    `${place.device} (compute capability ${place.computeCapability}) with ${place.library}`;
  const [expected, found] = [words(placeOf(device)), words(table)];
  if (expected === found) return;
  throw new ConfigError(`${path}: expected a product table for ${expected} but received one for ${found}`);
}

/** The table as a device takes it. */
export function tableProducts(table: ProductTable): TableProduct[] {
  return table.products.map(({ algorithm, ...product }) => ({ ...product, algorithm: Buffer.from(algorithm, "hex") }));
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
