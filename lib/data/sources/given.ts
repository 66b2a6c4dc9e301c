/** Documents that a program gives one by one, and not in files. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { type Arguments, describe } from "../../arguments.js";
import { ByteReader } from "./byte_reader.js";
import { checkText, type PassedOver, type SourcePiece } from "./document.js";
import { untilAborted } from "./until_aborted.js";

/** A document: its text, or an object with it. One whose text is null or empty is passed over. */
export type GivenDocument = string | { readonly text: string | null };

/** Documents, of which no more is taken than can be worked on. They are read once. */
export type GivenDocuments = Iterable<GivenDocument> | AsyncIterable<GivenDocument>;

/** Bytes that are told, or written, at a time. */
const AT_ONCE = 1 << 20;

/** What stands for a length where there is no text. */
const NO_TEXT = 0xffffffff;

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
      for await (const text of this.#coming()) {
        const bytes = Buffer.from(text ?? "");
        const length = Buffer.alloc(4);
        length.writeUInt32LE(text === null ? NO_TEXT : bytes.length);
        parts.push(length, bytes);
        size += length.length + bytes.length;
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
    for await (const text of this.#copy === null ? this.#coming() : kept(this.#copy)) {
      const where = { index, byte };
      index++;
      if (text === null || text === "") {
        onPassedOver?.(text === null ? "null" : "empty");
        continue;
      }
      byte += Buffer.byteLength(text);
      if (byte - told >= AT_ONCE) {
        onBytes?.(byte - told);
        told = byte;
      }
      yield { text, first: true, prompt: false, where };
    }
    if (byte > told) onBytes?.(byte - told);
  }

  /** The texts, checked, as the caller gives them. */
  async *#coming(): AsyncGenerator<string | null> {
    let index = 0;
    for await (const document of untilAborted(this.documents, this.signal)) {
      const text = this.#textOf(document, index);
      if (text !== null) checkText(text, { index, byte: 0 }, this.name);
      index++;
      yield text;
    }
  }

  #textOf(document: GivenDocument, index: number): string | null {
    const name = `${this.name}[${index}]`;
    if (typeof document === "string") return document;
    const expected = "a text, or an object with a text,";
    if (typeof document !== "object" || document === null) {
      return this.check.fail(TypeError, name, expected, describe(document));
    }
    const { text } = document;
    return text === null ? null : this.check.string(`${name}.text`, text);
  }
}

/** The texts of a file that `keep` has written. */
async function* kept(path: string): AsyncGenerator<string | null> {
  const reader = new ByteReader(createReadStream(path, { highWaterMark: AT_ONCE }));
  try {
    for (;;) {
      const head = Buffer.from(await reader.upTo(4));
      if (head.length === 0) return;
      const length = head.readUInt32LE();
      if (length === NO_TEXT) yield null;
      else yield Buffer.from(await reader.exactly(length)).toString();
    }
  } finally {
    await reader.close();
  }
}
