/**
 * The server of `nextpatch watch`: one page and a stream of events, for this machine alone. Whoever asks must know the
 * address with its token, and have come by a name of this machine: a page of another site, which a browser might be led
 * to send here, has neither.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Feed } from "./feed.js";
import { watchPage, watchScript, watchStyle } from "./page.js";
import { Watcher } from "./watcher.js";

/** Milliseconds between two looks at the runs. */
const INTERVAL = 1000;

/** Pages that are served at once. */
const MOST_PAGES = 50;

/** Bytes that may wait for a page: one that does not take them is sent nothing new meanwhile. */
const MOST_WAITING = 2 ** 24;

const address = "127.0.0.1";
const hosts = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/i;

/** Nothing from elsewhere, and nothing that is not in these files. */
const headers = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'",
  "Cache-Control": "no-store",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

const files: Readonly<Record<string, { readonly type: string; readonly text: () => string }>> = {
  "": { type: "text/html", text: watchPage },
  "page.js": { type: "text/javascript", text: watchScript },
  "page.css": { type: "text/css", text: watchStyle },
};

export class WatchServer {
  readonly #watcher: Watcher;
  readonly #token = randomBytes(18).toString("base64url");
  readonly #server: Server;
  readonly #pages = new Map<ServerResponse, Feed>();
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  private constructor(folder: string) {
    this.#watcher = new Watcher(folder);
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  /**
   * Serves the runs below a folder on this machine's loopback address.
   * @param port 0: any that is free
   * @throws Error of the system if the port cannot be had
   */
  static async open(folder: string, port: number): Promise<WatchServer> {
    const watch = new WatchServer(folder);
    await new Promise<void>((resolve, reject) => {
      watch.#server.once("error", reject);
      watch.#server.listen(port, address, resolve);
    });
    watch.#server.on("error", () => undefined);
    return watch;
  }

  /** The page's address, with the token. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://${address}:${port}/${this.#token}/`;
  }

  /** Ends all pages' streams, and gives the port back. A second call does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const response of this.#pages.keys()) response.end();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const [, token = "", name = ""] = /^\/([^/?]*)\/([^?]*)/.exec(request.url ?? "") ?? [];
    const refusal = this.#refusal(request, token, name);
    if (refusal !== null) {
      const [status, text] = refusal;
      response.writeHead(status, { ...headers, "Content-Type": "text/plain" }).end(`${text}\n`);
    } else if (name === "events") {
      this.#follow(request, response);
    } else {
      const { type, text } = files[name]!;
      response.writeHead(200, { ...headers, "Content-Type": `${type}; charset=utf-8` }).end(text());
    }
  }

  /** Status and words for what is not served; null: it is. */
  #refusal({ headers: { host = "" }, method }: IncomingMessage, token: string, name: string): [number, string] | null {
    if (!hosts.test(host)) return [403, "expected a name of this machine as host"];
    if (!equal(token, this.#token)) return [404, "expected the address that nextpatch watch printed"];
    if (method !== "GET") return [405, "expected GET"];
    if (name !== "events") return Object.hasOwn(files, name) ? null : [404, "expected the page or what belongs to it"];
    return this.#pages.size < MOST_PAGES ? null : [503, `expected at most ${MOST_PAGES} open pages`];
  }

  #follow(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { ...headers, "Content-Type": "text/event-stream" });
    response.write("retry: 2000\n\n");
    response.on("error", () => undefined);
    request.on("close", () => this.#pages.delete(response));
    this.#pages.set(response, new Feed());
    this.#send(); // what is known already
    if (this.#timer === null) this.#look(0);
  }

  /** Looks at the runs after so many milliseconds, and again for as long as there is a page. */
  #look(delay: number): void {
    this.#timer = setTimeout(async () => {
      await this.#watcher.refresh();
      this.#timer = null;
      if (this.#closed || this.#pages.size === 0) return;
      this.#send();
      this.#look(INTERVAL);
    }, delay);
  }

  #send(): void {
    for (const [response, feed] of this.#pages) {
      if (response.writableLength > MOST_WAITING) continue;
      const update = feed.update(this.#watcher);
      if (update !== null) response.write(`data: ${JSON.stringify(update)}\n\n`);
    }
  }
}

function equal(given: string, expected: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(given), hash(expected));
}
