/** Threads that count words, each one chunk at a time. */
import { createRequire } from "node:module";
import { extname } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import type { Splitting, TextChunk } from "./count_texts.js";
import type { CountedWords } from "./word_counts.js";

/** The threads' script is JavaScript in the package and TypeScript, which needs tsx, in a clone. */
const extension = extname(import.meta.url);

function startThread(splitting: Splitting): Worker {
  const script = new URL(`./count_worker${extension}`, import.meta.url);
  const require = createRequire(import.meta.url);
  const execArgv = extension === ".ts" ? ["--import", pathToFileURL(require.resolve("tsx")).href] : [];
  return new Worker(script, { workerData: splitting, execArgv });
}

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
    const thread = startThread(this.#splitting);
    this.#threads.push(thread);
    this.#idle.push(thread);
  }

  #assign(): void {
    while (this.#idle.length > 0 && this.#waiting.length > 0) this.#run(this.#idle.pop()!, this.#waiting.shift()!);
  }

  #run(thread: Worker, job: Job): void {
    const done = (): void => void thread.removeAllListeners();
    thread.once("message", (counted: CountedWords) => {
      done();
      this.#idle.push(thread);
      job.resolve(counted);
      this.#assign();
    });
    thread.once("error", (error) => {
      done();
      job.reject(error);
    });
    thread.once("exit", (code) => {
      done();
      job.reject(new Error(`a thread that counts words: expected an answer but received its exit, code ${code}`));
    });
    thread.postMessage(job.chunk, [job.chunk.bytes.buffer, job.chunk.ends.buffer]);
  }
}
