/** Opens many files as if all were open, with few descriptors. */
import type { BigIntStats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { Arguments } from "../arguments.js";
import type { Readable } from "../disk/read_fully.js";
import { DataError, unusable } from "../errors.js";

/** Files kept open at a time. */
const MOST_OPEN = 64;

interface OpenFile {
  readonly handle: Promise<FileHandle>;
  users: number;
}

/** A file as it was first seen. */
export type FileFacts = Pick<BigIntStats, "dev" | "ino" | "size" | "mtimeNs">;

/** What the shards of a dataset are read from. */
export interface ShardSources {
  /** Calls `read` with what a shard is read from. */
  use<T>(path: string, facts: FileFacts, read: (file: Readable) => Promise<T>): Promise<T>;
  /** Ends it, after the reads that have begun. */
  close(): Promise<void>;
}

/** The open files of a dataset: those used last. */
export class ShardFiles implements ShardSources {
  readonly #most: number;
  /** Least recently used first. */
  readonly #open = new Map<string, OpenFile>();
  #closed = false;
  readonly #uses = new Set<Promise<unknown>>();

  constructor(most = MOST_OPEN) {
    this.#most = most;
  }

  /**
   * Calls `read` with the open file.
   * @throws DataError if the file is gone, or is not the one that `facts` describes; TypeError once closed
   */
  async use<T>(path: string, facts: FileFacts, read: (file: FileHandle) => Promise<T>): Promise<T> {
    if (this.#closed) failClosed();
    const use = this.#use(path, facts, read);
    this.#uses.add(use);
    return use.finally(() => this.#uses.delete(use));
  }

  async #use<T>(path: string, facts: FileFacts, read: (file: FileHandle) => Promise<T>): Promise<T> {
    let file = this.#open.get(path);
    if (file === undefined) {
      file = { handle: reopen(path, facts), users: 0 };
      // A file that could not be opened is tried again by the next read.
      file.handle.catch(() => this.#open.delete(path));
    }
    this.#open.delete(path);
    this.#open.set(path, file);
    file.users++;
    try {
      return await read(await file.handle);
    } finally {
      file.users--;
      await this.#closeOldest();
    }
  }

  /** Closes all files, after the reads that have begun. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#uses);
    const files = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(files.map(async ({ handle }) => (await handle).close()));
  }

  async #closeOldest(): Promise<void> {
    for (const [path, file] of this.#open) {
      if (this.#open.size <= this.#most) return;
      if (file.users > 0) continue;
      this.#open.delete(path);
      await (await file.handle).close();
    }
  }
}

/** @throws TypeError for a read of a closed dataset */
export function failClosed(): never {
  return new Arguments("TokenDataset.read").fail(TypeError, "this", "an open dataset", "a closed one");
}

async function reopen(path: string, facts: FileFacts): Promise<FileHandle> {
  const file = await open(path, "r").catch((cause: unknown) => {
    throw new DataError(`${path}: expected the token shard that was there at first but received ${unusable(cause)}`, {
      cause,
    });
  });
  try {
    const now = await file.stat({ bigint: true });
    const keys = ["dev", "ino", "size", "mtimeNs"] as const;
    if (keys.every((key) => now[key] === facts[key])) return file;
    throw new DataError(
      `${path}: expected the token shard that was there at first but received one that was changed since`,
    );
  } catch (error) {
    await file.close();
    throw error;
  }
}
