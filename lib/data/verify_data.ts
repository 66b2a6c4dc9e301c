/** Reads every byte of token shards, and compares them with what is known of them. */

import { hashFile } from "../disk/hash_file.js";
import { DataError } from "../errors.js";
import type { TokenDataset } from "./dataset.js";
import type { IdentifiedData, ShardIdentity } from "./identity.js";

/** Milliseconds between two lines. */
const INTERVAL = 5000;

/** Tokens read at a time. */
const CHUNK = 1 << 20;

/**
 * Reads every byte of datasets, and says how far it is.
 * @param identity of these datasets
 * @throws DataError for data that is not what it should be
 */
export async function verifyData(
  datasets: readonly TokenDataset[],
  identity: IdentifiedData,
  vocabulary: number,
  log: (message: string) => void,
): Promise<void> {
  const shards = datasets.flatMap((dataset) => dataset.shards);
  const total = shards.reduce((sum, { bytes }) => sum + bytes, 0);
  let [done, hashed, last] = [0, 0, performance.now()];
  for (const [index, dataset] of datasets.entries()) {
    // What is in memory has been hashed there.
    const inFiles = dataset.memory === null;
    const known = identity.shards[index]!.map((shard) => (inFiles ? shard : { ...shard, sha256: null, mask: null }));
    await verifyDataset(dataset, known, vocabulary, (path, bytes, withHash) => {
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

/**
 * Compares each shard and its loss mask with their hashes; one without a hash is only checked for tokens outside the vocabulary.
 * @param shards what is known of the dataset's shards, in order
 * @param onShard called with each shard that is right
 * @throws DataError naming a shard that is another, or a token
 */
async function verifyDataset(
  dataset: TokenDataset,
  shards: readonly ShardIdentity[],
  vocabulary: number,
  onShard: (path: string, bytes: number, hashed: boolean) => void,
): Promise<void> {
  let start = 0;
  for (const [index, { path, tokenCount, bytes, mask }] of dataset.shards.entries()) {
    const { sha256, mask: maskSha256 = null } = shards[index]!;
    await verifyFile(path, sha256);
    if (mask !== null) await verifyFile(mask.path, maskSha256);
    for (let at = 0; sha256 === null && at < tokenCount; at += CHUNK) {
      const tokens = new Int32Array(Math.min(CHUNK, tokenCount - at));
      await dataset.read(start + at, tokens);
      dataset.checkVocabulary(tokens, start + at, vocabulary);
    }
    onShard(path, bytes, sha256 !== null);
    start += tokenCount;
  }
}

/** @param sha256 null: it is not known */
async function verifyFile(path: string, sha256: string | null): Promise<void> {
  if (sha256 === null) return;
  const found = await hashFile(path);
  if (found === sha256) return;
  throw new DataError(`${path}: expected a file of SHA-256 ${sha256}, as dataset.json says, but received ${found}`);
}
