import { type ShardPattern, TokenDataset } from "../data/dataset.js";
import { checkData, checkTokenizer, type IdentifiedData, identifyData } from "../data/identity.js";
import { knownTokenizer } from "../data/known_tokenizer.js";
import { verifyDataset } from "../data/verify_data.js";
import type { Llama } from "../nn/llama.js";

/**
 * Opens token shards that a model is to read.
 * @param verifyData whether every byte is read first, and compared with the hashes
 * @throws DataError if the data cannot be read, is not what the files beside it say, or is of another tokenizer or a
 *   larger vocabulary than the model
 */
export async function openData(
  model: Llama,
  data: string | readonly string[] | readonly ShardPattern[],
  verifyData: boolean,
  log: (message: string) => void,
): Promise<TokenDataset> {
  const dataset = await TokenDataset.open(data);
  try {
    const identity = await identifyData([dataset], log);
    if (model.folder !== null) checkTokenizer(identity, await knownTokenizer(model.folder));
    checkData(identity, model.config.vocab_size);
    if (verifyData) await verify(dataset, identity, model.config.vocab_size, log);
    return dataset;
  } catch (error) {
    await dataset.close();
    throw error;
  }
}

async function verify(
  dataset: TokenDataset,
  { shards }: IdentifiedData,
  vocabulary: number,
  log: (message: string) => void,
): Promise<void> {
  let hashed = 0;
  await verifyDataset(dataset, shards[0]!, vocabulary, (_path, _bytes, withHash) => {
    if (withHash) hashed++;
  });
  log(`data verified: ${hashed} of ${dataset.shards.length} shards have their hash`);
}
