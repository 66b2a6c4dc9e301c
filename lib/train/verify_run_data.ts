import { verifyDataset } from "../data/verify_data.js";
import type { RunData } from "./run_data.js";

/** Milliseconds between two lines. */
const INTERVAL = 5000;

/** Reads every byte of a run's data, and says how far it is. @throws DataError for data that is not what it should be */
export async function verifyRunData(data: RunData, vocabulary: number, log: (message: string) => void): Promise<void> {
  const { datasets } = data;
  const shards = datasets.flatMap((dataset) => dataset.shards);
  const total = shards.reduce((sum, { bytes }) => sum + bytes, 0);
  let [done, hashed, last] = [0, 0, performance.now()];
  for (const [index, dataset] of datasets.entries()) {
    await verifyDataset(dataset, data.identity.shards[index]!, vocabulary, (path, bytes, withHash) => {
      done += bytes;
      if (withHash) hashed++;
      if (performance.now() - last < INTERVAL) return;
      last = performance.now();
      log(`verifying data: ${Math.floor((100 * done) / total)}%, ${path}`);
    });
  }
  const others = shards.length - hashed;
  const rest = others === 0 ? "" : `; ${others} without a hash hold only tokens of the vocabulary`;
  log(`data verified: ${hashed} of ${shards.length} shards have their hash${rest}`);
}
