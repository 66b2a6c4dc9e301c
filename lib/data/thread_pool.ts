/** Threads that do jobs of one kind, each one at a time. */
import type { Worker } from "node:worker_threads";
import { startThread } from "./thread.js";

interface Waiting<Job, Result> {
  readonly job: Job;
  readonly transfer: readonly ArrayBuffer[];
  resolve(result: Result): void;
  reject(error: unknown): void;
}

export class ThreadPool<Job, Result> {
  readonly #script: URL;
  readonly #data: unknown;
  readonly #most: number;
  readonly #threads: Worker[] = [];
  readonly #idle: Worker[] = [];
  readonly #waiting: Waiting<Job, Result>[] = [];
  readonly #running = new Map<Worker, Waiting<Job, Result>>();

  /**
   * @param script as of `startThread`: answers each message, a job, by one message, its result
   * @param data what each thread gets as `workerData`
   * @param most how many threads there may be; each starts when it has something to do
   */
  constructor(script: URL, data: unknown, most: number) {
    this.#script = script;
    this.#data = data;
    this.#most = most;
  }

  /** Does a job. The buffers of `transfer` are gone afterwards. */
  run(job: Job, transfer: readonly ArrayBuffer[] = []): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, transfer, resolve, reject });
      if (this.#idle.length === 0 && this.#threads.length < this.#most) this.#start();
      this.#assign();
    });
  }

  /** Ends all threads. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  #start(): void {
    const thread = startThread(this.#script, this.#data);
    thread.on("message", (result: Result) => {
      this.#running.get(thread)!.resolve(result);
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
      const next = this.#waiting.shift()!;
      this.#running.set(thread, next);
      thread.postMessage(next.job, [...next.transfer]);
    }
  }
}
