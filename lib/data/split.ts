/** One split of a dataset on its way to disk: `train_000000.bin`, `train_000001.bin`, ... */
import { rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { hashFile } from "../disk/hash_file.js";
import { TokenDataset } from "./dataset.js";
import { type MaskInfo, MaskWriter, maskPath } from "./loss_mask.js";
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
  /** Its loss mask; absent: all its tokens count. */
  readonly mask?: MaskInfo;
}

/** A shard with its loss mask. */
interface ShardFiles {
  readonly tokens: ShardWriter;
  /** Null: all tokens count so far. */
  mask: MaskWriter | null;
}

type WrittenFiles = WrittenShard & { readonly mask: MaskInfo | null };

/** Writes a stream of tokens into shards of at most `shardTokens` tokens. */
export class SplitWriter {
  readonly #folder: string;
  readonly #name: SplitName | "part";
  readonly #bytesPerToken: BytesPerToken;
  readonly #shardTokens: number;
  readonly #written: WrittenFiles[] = [];
  /** The shard that is being written, which `abort` closes. */
  #shard: ShardFiles | undefined;
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

  /** @param mask a byte a token, 1: it counts in the loss; null: all count */
  async write(tokens: Uint32Array, mask: Uint8Array | null): Promise<void> {
    for (let done = 0; done < tokens.length; ) {
      this.#shard ??= await this.#startShard();
      const room = this.#shardTokens - this.#shard.tokens.tokenCount;
      const part = tokens.subarray(done, done + room);
      await writeBoth(this.#shard, part, mask?.subarray(done, done + room) ?? null);
      done += part.length;
      this.#tokenCount += part.length;
      if (part.length === room) await this.#endShard(this.#shard);
    }
  }

  /** Completes the last shard. */
  async finish(): Promise<void> {
    if (this.#shard !== undefined) await this.#endShard(this.#shard);
  }

  /** The finished shards, in order. */
  async shards(): Promise<ShardInfo[]> {
    const infos: ShardInfo[] = [];
    for (const { path, tokens, bytes, sha256, mask } of this.#written) {
      const hash = sha256 ?? (await hashFile(path));
      infos.push({ file: basename(path), tokens, bytes, sha256: hash, ...(mask && { mask }) });
    }
    return infos;
  }

  /** Moves the tokens from position `cut` on out of this split, which is finished, into `target`. */
  async moveTail(cut: number, target: SplitWriter): Promise<void> {
    const before = this.#written.splice(0);
    const dataset = await TokenDataset.open(before.map(({ path }) => path));
    this.#tokenCount = cut;
    try {
      await copy(dataset, cut, dataset.tokenCount, (tokens, mask) => target.write(tokens, mask));
      let start = 0;
      for (const shard of before) {
        if (start + shard.tokens <= cut) this.#written.push(shard);
        else if (start >= cut) {
          await rm(shard.path);
          if (shard.mask !== null) await rm(maskPath(shard.path)!);
        } else {
          const files = await this.#create(shard.path, 0);
          this.#shard = files;
          await copy(dataset, start, cut, (tokens, mask) => writeBoth(files, tokens, mask));
          const left = await this.#endShard(files);
          if (shard.mask !== null && left.mask === null) await rm(maskPath(shard.path)!);
        }
        start += shard.tokens;
      }
    } finally {
      await dataset.close();
    }
  }

  /** Closes what is open; the files stay for the caller to remove with their folder. */
  async abort(): Promise<void> {
    await this.#shard?.tokens.abort();
    await this.#shard?.mask?.abort();
  }

  async #startShard(): Promise<ShardFiles> {
    const path = join(this.#folder, `${this.#name}_${String(this.#written.length).padStart(6, "0")}.bin`);
    return this.#create(path, this.#shardTokens);
  }

  async #create(path: string, expectedTokens: number): Promise<ShardFiles> {
    return { tokens: await ShardWriter.create(path, this.#bytesPerToken, expectedTokens), mask: null };
  }

  async #endShard(shard: ShardFiles): Promise<WrittenFiles> {
    const written = await finishBoth(shard);
    this.#shard = undefined;
    this.#written.push(written);
    return written;
  }
}

async function writeBoth(files: ShardFiles, tokens: Uint32Array, mask: Uint8Array | null): Promise<void> {
  const before = files.tokens.tokenCount;
  await files.tokens.write(tokens);
  if (files.mask === null && mask?.includes(0)) {
    files.mask = await MaskWriter.create(maskPath(files.tokens.path)!);
    await files.mask.write(before, null);
  }
  await files.mask?.write(tokens.length, mask);
}

async function finishBoth({ tokens, mask }: ShardFiles): Promise<WrittenFiles> {
  return { ...(await tokens.finish()), mask: mask && (await mask.finish()) };
}

async function copy(
  dataset: TokenDataset,
  from: number,
  to: number,
  write: (tokens: Uint32Array, mask: Uint8Array | null) => Promise<void>,
): Promise<void> {
  for (let position = from; position < to; ) {
    const tokens = new Int32Array(Math.min(COPY_TOKENS, to - position));
    const mask = dataset.masked ? new Uint8Array(tokens.length) : null;
    await dataset.read(position, tokens);
    if (mask !== null) await dataset.readMask(position, mask);
    await write(new Uint32Array(tokens.buffer), mask);
    position += tokens.length;
  }
}
