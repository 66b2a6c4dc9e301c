/** One split of a dataset on its way to disk: `train_000000.bin`, `train_000001.bin`, ... */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { TokenDataset } from "./dataset.js";
import type { BytesPerToken } from "./shard.js";
import { ShardWriter } from "./shard.js";

/** Tokens copied at a time when a split is cut. */
const COPY_TOKENS = 1 << 20;

export type SplitName = "train" | "val";

/** Writes a stream of tokens into shards of at most `shardTokens` tokens. */
export class SplitWriter {
  readonly #folder: string;
  readonly #name: SplitName;
  readonly #bytesPerToken: BytesPerToken;
  readonly #shardTokens: number;
  readonly #paths: string[] = [];
  #shard: ShardWriter | undefined;
  #tokenCount = 0;

  constructor(folder: string, name: SplitName, bytesPerToken: BytesPerToken, shardTokens: number) {
    this.#folder = folder;
    this.#name = name;
    this.#bytesPerToken = bytesPerToken;
    this.#shardTokens = shardTokens;
  }

  get tokenCount(): number {
    return this.#tokenCount;
  }

  async write(tokens: Uint32Array): Promise<void> {
    for (let done = 0; done < tokens.length; ) {
      this.#shard ??= await this.#startShard();
      const room = this.#shardTokens - this.#shard.tokenCount;
      const part = tokens.subarray(done, done + room);
      await this.#shard.write(part);
      done += part.length;
      this.#tokenCount += part.length;
      if (part.length === room) await this.#endShard();
    }
  }

  /** Completes the last shard and returns the paths of all shards, in order. */
  async finish(): Promise<string[]> {
    await this.#endShard();
    return this.#paths;
  }

  /** Closes what is open; the files stay for the caller to remove with their folder. */
  async abort(): Promise<void> {
    await this.#shard?.abort();
  }

  async #startShard(): Promise<ShardWriter> {
    const path = join(this.#folder, `${this.#name}_${String(this.#paths.length).padStart(6, "0")}.bin`);
    const shard = await ShardWriter.create(path, this.#bytesPerToken);
    this.#paths.push(path);
    return shard;
  }

  async #endShard(): Promise<void> {
    const shard = this.#shard;
    this.#shard = undefined;
    await shard?.finish();
  }
}

/** Moves the tokens from stream position `cut` on out of finished shards and into `target`. */
export async function moveTail(paths: readonly string[], cut: number, target: SplitWriter): Promise<void> {
  const dataset = await TokenDataset.open(paths);
  try {
    await copy(dataset, cut, dataset.tokenCount, (tokens) => target.write(tokens));
    let start = 0;
    for (const { path, tokenCount, bytesPerToken } of dataset.shards) {
      if (start >= cut) await rm(path);
      else if (start + tokenCount > cut) {
        const writer = await ShardWriter.create(path, bytesPerToken);
        await copy(dataset, start, cut, (tokens) => writer.write(tokens));
        await writer.finish();
      }
      start += tokenCount;
    }
  } finally {
    await dataset.close();
  }
}

async function copy(
  dataset: TokenDataset,
  from: number,
  to: number,
  write: (tokens: Uint32Array) => Promise<void>,
): Promise<void> {
  for (let position = from; position < to; ) {
    const tokens = new Int32Array(Math.min(COPY_TOKENS, to - position));
    await dataset.read(position, tokens);
    await write(new Uint32Array(tokens.buffer));
    position += tokens.length;
  }
}
