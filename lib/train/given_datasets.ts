/** Datasets that a program gives a run, instead of files: `dataset:NAME` stands for them in its config. */
import type { RunConfig } from "../config/config.js";
import { type DataEntry, entriesOf, givenName } from "../config/data_entries.js";
import type { TokenDataset } from "../data/dataset.js";
import { ConfigError } from "../errors.js";

/** By their names in the config. */
export type GivenDatasets = Readonly<Record<string, TokenDataset>>;

/** Checks that a config's datasets are those that are given. @throws ConfigError */
export function checkGiven({ data: { train, val } }: RunConfig, given: GivenDatasets): void {
  const named = Object.entries({ train, val }).flatMap(([key, section]) =>
    (section === undefined ? [] : entriesOf(section)).map(
      ({ path }: DataEntry) => [`data.${key}`, givenName(path)] as const,
    ),
  );
  const names = named.flatMap(([, name]) => name ?? []);
  const lacking = named.find(([, name]) => name !== null && !Object.hasOwn(given, name));
  if (lacking !== undefined) {
    const [key, name] = lacking;
    const received = Object.keys(given).join(", ") || "none; commands read files";
    throw new ConfigError(
      `${key}: expected a dataset that Trainer.open is given (datasets: { ${name} }) for dataset:${name} but received ${received}`,
    );
  }
  const other = Object.keys(given).find((name) => !names.includes(name));
  if (other === undefined) return;
  throw new ConfigError(`data: expected an entry dataset:${other}, as that dataset is given, but received none`);
}
