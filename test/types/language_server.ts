/** A client of TypeScript's language server, for what an editor shows of a file. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { pathToFileURL } from "node:url";

/** A place in a file, from 0. */
export interface Position {
  readonly line: number;
  readonly character: number;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly result?: unknown;
}

export class LanguageServer {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #answers = new Map<number, (result: unknown) => void>();
  #received = Buffer.alloc(0);
  #requests = 0;

  constructor() {
    this.#process = spawn(process.execPath, ["node_modules/typescript/bin/tsc", "--lsp", "--stdio"]);
    this.#process.stdout.on("data", (bytes: Buffer) => this.#receive(bytes));
  }

  /** Opens a file with this text, whatever is on the disk. */
  async open(path: string, text: string): Promise<Document> {
    const rootUri = pathToFileURL(process.cwd()).href;
    const hover = { contentFormat: ["markdown"] };
    await this.request("initialize", {
      processId: process.pid,
      rootUri,
      capabilities: { textDocument: { hover } },
    });
    this.#send({ method: "initialized", params: {} });
    const uri = pathToFileURL(path).href;
    const textDocument = { uri, languageId: "typescript", version: 1, text };
    this.#send({ method: "textDocument/didOpen", params: { textDocument } });
    return new Document(this, uri);
  }

  request(method: string, params: object): Promise<unknown> {
    const id = ++this.#requests;
    const answer = new Promise<unknown>((resolve) => this.#answers.set(id, resolve));
    this.#send({ id, method, params });
    return answer;
  }

  close(): void {
    this.#process.kill();
  }

  #send(message: object): void {
    const body = JSON.stringify({ jsonrpc: "2.0", ...message });
    this.#process.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  #receive(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      const begin = this.#received.indexOf("\r\n\r\n");
      const length = Number(
        /Content-Length: (\d+)/i.exec(this.#received.subarray(0, Math.max(0, begin)).toString())?.[1],
      );
      if (begin === -1 || this.#received.length < begin + 4 + length) return;
      const message = JSON.parse(this.#received.subarray(begin + 4, begin + 4 + length).toString()) as Message;
      this.#received = this.#received.subarray(begin + 4 + length);
      // What the server asks for gets an empty answer.
      if (message.method !== undefined && message.id !== undefined) this.#send({ id: message.id, result: null });
      else if (message.id !== undefined) this.#answers.get(message.id)?.(message.result);
    }
  }
}

/** An open file. */
export class Document {
  constructor(
    private readonly server: LanguageServer,
    private readonly uri: string,
  ) {}

  /** What is shown of the name at a place: its type and its documentation. */
  async hover(position: Position): Promise<string> {
    const answer = await this.server.request("textDocument/hover", this.#at(position));
    return (answer as { contents: { value: string } } | null)?.contents.value ?? "";
  }

  /** The names that are offered at a place. */
  async completions(position: Position): Promise<string[]> {
    const answer = await this.server.request("textDocument/completion", this.#at(position));
    return (answer as { items: { label: string }[] } | null)?.items.map(({ label }) => label) ?? [];
  }

  #at(position: Position) {
    return { textDocument: { uri: this.uri }, position };
  }
}
