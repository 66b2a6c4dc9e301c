/** Documents that a program gives one by one, and not in files. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { type Arguments, describe } from "../../arguments.js";
import { ByteReader } from "./byte_reader.js";
import { checkSize, checkText, MAX_RECORD, type PassedOver, type SourcePiece } from "./document.js";
import { untilAborted } from "./until_aborted.js";

/**
 * A document: its text, or an object with it. One whose text is null or empty is passed over. A prompt goes before the text,
 * and its tokens do not count in the loss; null or empty, it is none.
 */
export type GivenDocument = string | { readonly text: string | null; readonly prompt?: string | null };

/** Documents, of which no more is taken than can be worked on. They are read once. */
export type GivenDocuments = Iterable<GivenDocument> | AsyncIterable<GivenDocument>;

/** Bytes that are told, or written, at a time. */
const AT_ONCE = 1 << 20;

/** What stands for a length where there is no text. */
const NO_TEXT = 0xffffffff;

/** Documents after which timers and signals get their turn, even if all are passed over. */
const BETWEEN_TURNS = 1024;

/** The texts of a document. */
interface Given {
  readonly text: string | null;
  readonly prompt: string | null;
}

/** Checks an argument. A string is none: its characters are no documents. */
export function checkGiven(check: Arguments, name: string, value: GivenDocuments): GivenDocuments {
  const iterable =
    typeof value === "object" &&
    value !== null &&
    [Symbol.iterator, Symbol.asyncIterator].some(
      (key) => typeof (value as unknown as Record<symbol, unknown>)[key] === "function",
    );
  if (iterable) return value;
  return check.fail(TypeError, name, "an array, an iterable or an async iterable of texts", describe(value));
}

/** The documents of an argument. */
export class GivenTexts {
  /** Where they are kept, to be read again; null: they are read as they come. */
  #copy: string | null = null;

  /** @param name of the argument, which errors name with the document's number */
  constructor(
    private readonly check: Arguments,
    readonly name: string,
    private readonly documents: GivenDocuments,
    private readonly signal?: AbortSignal,
  ) {}

  /** Reads all into a file, from which `read` takes them as often as it is called. */
  async keep(path: string): Promise<void> {
    const file = await open(path, "w");
    try {
      let parts: Uint8Array[] = [];
      let size = 0;
      for await (const { text, prompt } of this.#coming()) {
        for (const each of [prompt, text]) {
          const bytes = Buffer.from(each ?? "");
          const length = Buffer.alloc(4);
          length.writeUInt32LE(each === null ? NO_TEXT : bytes.length);
          parts.push(length, bytes);
          size += length.length + bytes.length;
        }
        if (size < AT_ONCE) continue;
        await file.writeFile(Buffer.concat(parts));
        [parts, size] = [[], 0];
      }
      await file.writeFile(Buffer.concat(parts));
    } finally {
      await file.close();
    }
    this.#copy = path;
  }

  /**
   * The documents, in order, none of them empty.
   * @param onBytes called now and then with UTF-8 bytes of texts
   */
  async *read(
    onBytes?: (bytes: number) => void,
    onPassedOver?: (reason: PassedOver) => void,
  ): AsyncGenerator<SourcePiece> {
    let [index, byte, told] = [0, 0, 0];
    for await (const { text, prompt } of this.#copy === null ? this.#coming() : kept(this.#copy)) {
      const where = { index, byte };
      index++;
      if (text === null || text === "") {
        onPassedOver?.(text === null ? "null" : "empty");
        continue;
      }
      byte += Buffer.byteLength(text) + Buffer.byteLength(prompt ?? "");
      if (byte - told >= AT_ONCE) {
        onBytes?.(byte - told);
        told = byte;
      }
      if (prompt) yield { text: prompt, first: true, prompt: true, where };
      yield { text, first: !prompt, prompt: false, where };
    }
    if (byte > told) onBytes?.(byte - told);
  }

  /** The texts, checked, as the caller gives them. */
  async *#coming(): AsyncGenerator<Given> {
    let index = 0;
    for await (const document of untilAborted(this.documents, this.signal)) {
      const given = this.#textsOf(document, index);
      for (const each of [given.prompt, given.text]) if (each !== null) this.#check(each, index);
      if (++index % BETWEEN_TURNS === 0) await setImmediate();
      yield given;
    }
  }

  #check(text: string, index: number): void {
    const where = { index, byte: 0 };
    checkText(text, where, this.name);
    // A character takes three bytes at the most.
    if (text.length > MAX_RECORD / 3) checkSize(Buffer.byteLength(text), MAX_RECORD, "a text", where, this.name);
  }

  #textsOf(document: GivenDocument, index: number): Given {
    const name = `${this.name}[${index}]`;
    if (typeof document === "string") return { text: document, prompt: null };
    const expected = "a text, or an object with a text,";
    if (typeof document !== "object" || document === null) {
      return this.check.fail(TypeError, name, expected, describe(document));
    }
    const { text, prompt = null } = document;
    return {
      text: text === null ? null : this.check.string(`${name}.text`, text),
      prompt: prompt === null ? null : this.check.string(`${name}.prompt`, prompt),
    };
  }
}

/** The texts of a file that `keep` has written. */
async function* kept(path: string): AsyncGenerator<Given> {
  const reader = new ByteReader(createReadStream(path, { highWaterMark: AT_ONCE }));
  const next = async (head: Uint8Array): Promise<string | null> => {
    const length = Buffer.from(head).readUInt32LE();
    return length === NO_TEXT ? null : Buffer.from(await reader.exactly(length)).toString();
  };
  try {
    for (;;) {
      const head = await reader.upTo(4);
      if (head.length === 0) return;
      const prompt = await next(head);
      yield { prompt, text: await next(await reader.exactly(4)) };
    }
  } finally {
    await reader.close();
  }
}
