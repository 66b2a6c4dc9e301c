/** `nextpatch tune`: times the algorithms of a run's matrix products once, and keeps the choice in a file. */
import { dirname } from "node:path";
import type { Command } from "commander";
import { summarize, summaryText, totals } from "../bench/products/summary.js";
import { tuneProducts } from "../bench/products/tune.js";
import { loadRunConfig } from "../config/config.js";
import { Device, type DeviceSpec } from "../device.js";
import { makeFolder, writeText } from "../disk/durable.js";
import { tableText } from "../train/product_table.js";
import { type OverrideFlags, overridesOf, withOverrides } from "./arguments.js";
import type { CliIo } from "./io.js";

interface Flags extends OverrideFlags {
  readonly out?: string;
}

export function registerTune(program: Command, io: CliIo): void {
  const command = program
    .command("tune")
    .description(
      "time the algorithms that cuBLASLt has for a run's matrix products, and write the fastest to a file that the " +
        "config's productTable names",
    )
    .argument("<config>", "config of the run")
    .option("--out <file>", "file to write (default: the config's productTable, else product_table.json)");
  withOverrides(command).action(async (path: string, flags: Flags) => tune(path, flags, io));
}

async function tune(path: string, flags: Flags, io: CliIo): Promise<void> {
  const config = await loadRunConfig(path, { set: overridesOf(flags), log: io.log });
  const device = Device.open(config.device as DeviceSpec);
  const { name, computeCapability, productLibrary } = device;
  const place = { device: name, computeCapability, library: productLibrary };
  if (productLibrary === null) {
    const words = `${device.backend} has one algorithm for each matrix product: there is nothing to tune`;
    return io.result(words, { file: null, ...place, products: [], firstSeconds: 0, seconds: 0 });
  }
  io.log(`${device.backend}: ${name}, ${productLibrary}`);
  const progress = io.progress("tune");
  const table = await tuneProducts(config, device, {
    log: io.log,
    onProduct: (done, of, name) => progress.update(done, of, name),
  }).finally(() => progress.stop());
  const file = flags.out ?? config.productTable ?? "product_table.json";
  await makeFolder(dirname(file));
  await writeText(file, tableText(table));
  const products = summarize(table);
  io.result(`${summaryText(products)}\nwritten: ${file}; to use it: --set productTable=${file}`, {
    file,
    ...place,
    products,
    ...totals(products),
  });
}
