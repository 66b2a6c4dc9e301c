/** One split of a dataset on its way to disk: `train_000000.bin`, `train_000001.bin`, ... */
import { rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { hashFile } from "../disk/hash_file.js";
import { TokenDataset } from "./dataset.js";
import type { BytesPerToken, WrittenShard } from "./shard.js";
import { ShardWriter } from "./shard.js";
import type { SplitName } from "./split_name.js";

/** Tokens copied at a time when a split is cut. */
const COPY_TOKENS = 1 << 20;

export type { SplitName } from "./split_name.js";

/** A shard as `dataset.json` has it. */
export interface ShardInfo {
  /** Its name in the folder. */
  readonly file: string;
  readonly tokens: number;
  /** Size of the file. */
  readonly bytes: number;
  /** SHA-256 of the whole file, in hex. */
  readonly sha256: string;
}

/** Writes a stream of tokens into shards of at most `shardTokens` tokens. */
export class SplitWriter {
  readonly #folder: string;
  readonly #name: SplitName | "part";
  readonly #bytesPerToken: BytesPerToken;
  readonly #shardTokens: number;
  readonly #written: WrittenShard[] = [];
  #shard: ShardWriter | undefined;
  #tokenCount = 0;

  constructor(folder: string, name: SplitName | "part", bytesPerToken: BytesPerToken, shardTokens: number) {
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

  /** Completes the last shard. */
  async finish(): Promise<void> {
    await this.#endShard();
  }

  /** The finished shards, in order. */
  async shards(): Promise<ShardInfo[]> {
    const infos: ShardInfo[] = [];
    for (const { path, tokens, bytes, sha256 } of this.#written) {
      infos.push({ file: basename(path), tokens, bytes, sha256: sha256 ?? (await hashFile(path)) });
    }
    return infos;
  }

  /** Moves the tokens from position `cut` on out of this split, which is finished, into `target`. */
  async moveTail(cut: number, target: SplitWriter): Promise<void> {
    const before = this.#written.splice(0);
    const dataset = await TokenDataset.open(before.map(({ path }) => path));
    this.#tokenCount = cut;
    try {
      await copy(dataset, cut, dataset.tokenCount, (tokens) => target.write(tokens));
      let start = 0;
      for (const shard of before) {
        if (start + shard.tokens <= cut) this.#written.push(shard);
        else if (start >= cut) await rm(shard.path);
        else {
          const writer = await ShardWriter.create(shard.path, this.#bytesPerToken);
          await copy(dataset, start, cut, (tokens) => writer.write(tokens));
          this.#written.push(await writer.finish());
        }
        start += shard.tokens;
      }
    } finally {
      await dataset.close();
    }
  }

  /** Closes what is open; the files stay for the caller to remove with their folder. */
  async abort(): Promise<void> {
    await this.#shard?.abort();
  }

  async #startShard(): Promise<ShardWriter> {
    const path = join(this.#folder, `${this.#name}_${String(this.#written.length).padStart(6, "0")}.bin`);
    return ShardWriter.create(path, this.#bytesPerToken, this.#shardTokens);
  }

  async #endShard(): Promise<void> {
    const shard = this.#shard;
    this.#shard = undefined;
    if (shard !== undefined) this.#written.push(await shard.finish());
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
