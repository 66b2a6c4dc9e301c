/** The algorithms of a run's matrix products, from a table or the library's own choice. */
import { ConfigError } from "../errors.js";
import type { Device } from "../native.js";
import { type LoadedTable, tableProducts } from "./product_table.js";

/** The table that a device has, as its SHA-256 (null: none), and how many runs of this process rely on it. */
const inUse = new Map<string, { readonly table: string | null; users: number }>();

/** Runs of one process share a device, so they must agree on its table. */
const keyOf = ({ backend, index, threads }: Device) => `${backend}:${index}:${threads}`;

/** A device's products while a run uses it. */
export class RunProducts {
  #reported = "";
  #open = true;

  private constructor(
    private readonly device: Device,
    private readonly table: LoadedTable | null,
    private readonly log: (message: string) => void,
  ) {}

  /**
   * Gives the device the run's table, or takes away that of an earlier run.
   * @param table one made for this device, or null
   * @throws ConfigError if the library refuses an algorithm, or another run on the device has another table
   */
  static async open(
    device: Device,
    table: LoadedTable | null,
    log: (message: string) => void = () => undefined,
  ): Promise<RunProducts> {
    const key = keyOf(device);
    const sha256 = table?.sha256 ?? null;
    const before = inUse.get(key);
    if (before !== undefined && before.table !== sha256) {
      throw new ConfigError(
        `productTable: expected ${before.table ?? "null"}, which an open run of this process uses on ` +
          `${device.backend}:${device.index}, but received ${sha256 ?? "null"}`,
      );
    }
    const products = new RunProducts(device, table, log);
    if (before !== undefined) {
      before.users++;
      return products;
    }
    inUse.set(key, { table: sha256, users: 1 });
    try {
      if (device.productLibrary !== null) await device.useProductTable(table ? tableProducts(table.table) : []);
      return products;
    } catch (error) {
      inUse.delete(key);
      if (table === null || !(error instanceof RangeError)) throw error;
      const expected = `${table.path}: expected algorithms that run on this device but received one that does not`;
      throw new ConfigError(`${expected}: ${error.message}`, { cause: error });
    }
  }

  /** Logs how many of the products so far are in the table, if that has changed. */
  async report(): Promise<void> {
    if (this.table === null) return;
    const seen = await this.device.products();
    const known = seen.filter(({ inTable }) => inTable).length;
    const others = known === seen.length ? "" : `; the others have the first choice of ${this.device.productLibrary}`;
    const words = `${known} of ${seen.length} matrix products have their algorithm from ${this.table.path}${others}`;
    if (words !== this.#reported) this.log(words);
    this.#reported = words;
  }

  /** Takes the table away, if no other run uses it. A second call does nothing. */
  async close(): Promise<void> {
    const state = inUse.get(keyOf(this.device));
    if (!this.#open || state === undefined) return;
    this.#open = false;
    if (--state.users > 0) return;
    inUse.delete(keyOf(this.device));
    // A device that failed has said so already.
    if (state.table !== null) await this.device.useProductTable([]).catch(() => undefined);
  }

  /** The same as `close`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
