/**
 * Text to token shards, shards to batches, and tokenizers. [data.md](../data.md) and [tokenizers.md](../tokenizers.md)
 * have the formats.
 *
 * @module data
 */
export {
  BlockLoader,
  type BlockLoaderOptions,
  type DataPosition,
  type DatasetIds,
  type DatasetInfo,
  type GivenDocument,
  type GivenDocuments,
  type MemoryOptions,
  type MergeOptions,
  mergeParts,
  type PartInfo,
  type PartNumber,
  type PrepareOptions,
  type PrepareProgress,
  prepareDataset,
  preparePart,
  type Shard,
  type ShardFormat,
  type ShardPattern,
  type SplitName,
  TokenDataset,
  Tokenizer,
  type TokenizerOptions,
  type TokenizerTraining,
  type WeightedDataset,
} from "nextpatch";
