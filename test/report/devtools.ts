/** Headless Chromium, spoken to in the DevTools protocol over a pipe: JSON messages, each with a zero byte behind it. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

/** An event, or a command's result. */
type Fields = Record<string, unknown>;
type Listener = (method: string, params: Fields) => void;

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Fields;
  readonly result?: Fields;
  readonly error?: { readonly message: string };
}

export class Chromium {
  readonly #process: ChildProcess;
  readonly #profile = mkdtempSync(join(tmpdir(), "nextpatch-chromium-"));
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #listeners = new Map<string, Listener>();
  #next = 1;

  constructor(command = "chromium") {
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"];
    this.#process = spawn(command, [...flags, `--user-data-dir=${this.#profile}`], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    this.#process.once("error", (error) => this.#fail(error.message));
    this.#process.once("exit", (code, signal) => this.#fail(`it ended with ${signal ?? code}`));
    let rest = "";
    (this.#process.stdio[4] as Readable).setEncoding("utf8").on("data", (text: string) => {
      const parts = (rest + text).split("\0");
      rest = parts.pop()!;
      for (const part of parts) this.#receive(JSON.parse(part) as Message);
    });
    // A browser that has ended takes nothing more: commands are told so by its exit.
    (this.#process.stdio[3] as Writable).on("error", () => undefined);
  }

  /** Runs a command, of the whole browser or of a session. @throws Error where the browser refuses it or has ended */
  async send<T = Fields>(method: string, params: Fields = {}, sessionId?: string): Promise<T> {
    const id = this.#next++;
    const { error, result } = await new Promise<Message>((resolve) => {
      this.#waiting.set(id, resolve);
      (this.#process.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
    if (error) throw new Error(`chromium: ${method}: ${error.message}`);
    return result as T;
  }

  /** Opens an empty tab and returns its session, whose events go to `listener`. */
  async open(listener: Listener): Promise<string> {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send<{ sessionId: string }>("Target.attachToTarget", { targetId, flatten: true });
    this.#listeners.set(sessionId, listener);
    return sessionId;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    await this.send("Browser.close");
    await ended;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  #receive({ id, sessionId, method, params = {}, ...rest }: Message): void {
    if (id !== undefined) {
      this.#waiting.get(id)?.(rest);
      this.#waiting.delete(id);
    } else if (method !== undefined && sessionId !== undefined) {
      this.#listeners.get(sessionId)?.(method, params);
    }
  }

  #fail(message: string): void {
    for (const resolve of this.#waiting.values()) resolve({ error: { message } });
    this.#waiting.clear();
  }
}
