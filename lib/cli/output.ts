/**
 * Standard output and standard error, whatever becomes of them: a pipe whose reader has ended or stands still, a full
 * disk, a terminal that was closed. Messages that cannot be printed are kept for a while, then dropped and counted, and
 * the work goes on. A result that cannot be printed is a failure. Both are written by `writeSync`, whose count is heeded:
 * Node's streams for files take a half-written text for a whole one.
 */
import { writeSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

/** Milliseconds until a pipe whose reader is slow is tried again. */
const PAUSE = 20;

/** Bytes of messages that are kept for a stream that does not take them now. */
const KEPT = 2 ** 16;

/** Milliseconds for which the end of the process waits for the reader of the last messages. */
const PATIENCE = 1000;

const nothing: Uint8Array = new Uint8Array();

/** Messages on standard error. */
export class Messages {
  #waiting = nothing;
  #dropped = 0;
  #reason: NodeJS.ErrnoException | null = null;

  /** @param fd a descriptor whose writes do not block: Node makes one of a pipe when `process.stderr` is asked for */
  constructor(private readonly fd: number) {}

  /** Prints a text, or keeps it for later, or drops it. The first after a gap says before it how many are missing. */
  print(text: string): void {
    if (!this.#take(text)) this.#dropped++;
  }

  /** Prints a text that another one will replace: it is dropped, and not counted, while others wait. */
  draw(text: string): void {
    this.#write();
    if (this.#waiting.length > 0) return;
    this.#waiting = Buffer.from(text);
    this.#write();
  }

  /** Counts a message that could not be printed by other means. */
  dropped(error: NodeJS.ErrnoException): void {
    this.#dropped++;
    this.#reason = error;
  }

  /** Prints what is left, as far as that can be done in a second. */
  async finish(): Promise<void> {
    const end = performance.now() + PATIENCE;
    for (this.#take(""); this.#isHeldUp() && performance.now() < end; this.#take("")) await setTimeout(PAUSE);
  }

  /** Whether the reader may still take what is waiting. */
  #isHeldUp(): boolean {
    return this.#waiting.length > 0 && this.#reason?.code === "EAGAIN";
  }

  #take(text: string): boolean {
    this.#write();
    const bytes = Buffer.from(this.#gap() + text);
    if (this.#waiting.length > 0 && this.#waiting.length + bytes.length > KEPT) return false;
    this.#dropped = 0;
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
    this.#write();
    return true;
  }

  #gap(): string {
    if (this.#dropped === 0) return "";
    const messages = this.#dropped === 1 ? "1 message" : `${this.#dropped} messages`;
    return `nextpatch: ${messages} could not be printed here (${this.#reason?.message})\n`;
  }

  #write(): void {
    const { bytes, error } = writeWhatFits(this.fd, this.#waiting);
    this.#waiting = bytes;
    this.#reason = error ?? this.#reason;
  }
}

/** The result on standard output. */
export class Results {
  #rest = nothing;
  #error: Error | null = null;

  constructor(private readonly fd: number) {}

  /** Writes a part of it, as much as can be written without waiting. */
  print(text: string): void {
    this.#rest = Buffer.concat([this.#rest, Buffer.from(text)]);
    this.#write();
  }

  /** Waits until all is written. @throws Error if it could not be written */
  async finish(): Promise<void> {
    for (this.#write(); this.#rest.length > 0 && this.#error === null; this.#write()) await setTimeout(PAUSE);
    if (this.#error === null) return;
    const { message } = this.#error;
    throw new Error(`the result could not be written to standard output: ${message}`, { cause: this.#error });
  }

  #write(): void {
    if (this.#error !== null) return;
    const { bytes, error } = writeWhatFits(this.fd, this.#rest);
    this.#rest = bytes;
    if (error !== null && error.code !== "EAGAIN") this.#error = error;
  }
}

/** Writes bytes until there is an error. Returns what is left. */
function writeWhatFits(fd: number, bytes: Uint8Array): { bytes: Uint8Array; error: NodeJS.ErrnoException | null } {
  let done = 0;
  try {
    while (done < bytes.length) done += writeSync(fd, bytes, done);
    return { bytes: bytes.subarray(done), error: null };
  } catch (error) {
    return { bytes: bytes.subarray(done), error: error as NodeJS.ErrnoException };
  }
}
