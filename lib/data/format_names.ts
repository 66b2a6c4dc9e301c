/** The formats of token shards; shard_formats.ts says what they are. */
export const shardFormats = ["llmc", "nanogpt", "megatron"] as const;

/** A format of token shards. */
export type ShardFormat = (typeof shardFormats)[number];
