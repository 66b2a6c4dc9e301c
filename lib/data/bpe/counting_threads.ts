/** Threads that count words, each one chunk at a time. */
import type { Worker } from "node:worker_threads";
import { startThread } from "../thread.js";
import type { Splitting, TextChunk } from "./count_texts.js";
import type { CountedWords } from "./word_counts.js";

interface Job {
  readonly chunk: TextChunk;
  resolve(counted: CountedWords): void;
  reject(error: unknown): void;
}

export class CountingThreads {
  readonly #splitting: Splitting;
  readonly #most: number;
  readonly #threads: Worker[] = [];
  readonly #idle: Worker[] = [];
  readonly #waiting: Job[] = [];
  readonly #running = new Map<Worker, Job>();

  /** @param most how many threads there may be; each starts when it has something to do */
  constructor(splitting: Splitting, most: number) {
    this.#splitting = splitting;
    this.#most = most;
  }

  /** Counts the words of a chunk, whose buffers are gone afterwards. */
  count(chunk: TextChunk): Promise<CountedWords> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ chunk, resolve, reject });
      if (this.#idle.length === 0 && this.#threads.length < this.#most) this.#start();
      this.#assign();
    });
  }

  /** Ends all threads. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  #start(): void {
    const thread = startThread(new URL("./count_worker", import.meta.url), this.#splitting);
    thread.on("message", (counted: CountedWords) => {
      this.#running.get(thread)!.resolve(counted);
      this.#running.delete(thread);
      this.#idle.push(thread);
      this.#assign();
    });
    thread.on("error", (error) => this.#running.get(thread)?.reject(error));
    this.#threads.push(thread);
    this.#idle.push(thread);
  }

  #assign(): void {
    while (this.#idle.length > 0 && this.#waiting.length > 0) {
      const thread = this.#idle.pop()!;
      const job = this.#waiting.shift()!;
      this.#running.set(thread, job);
      thread.postMessage(job.chunk, [job.chunk.bytes.buffer, job.chunk.ends.buffer]);
    }
  }
}
