/**
 * Arrow's IPC files and streams, of which only the text's buffers are read. Apache's own package is 6 MB and reads
 * whole batches, with its strings' invalid UTF-8 replaced.
 */
import { isUtf8 } from "node:buffer";
import { DataError } from "../../errors.js";
import { Batch } from "./arrow/batch.js";
import { Table } from "./arrow/flatbuffer.js";
import { type Field, fieldPath, holdsText, layoutOf, readFields, typeName } from "./arrow/schema.js";
import { indicesOf, isValid, isView, offsetsOf, viewAt } from "./arrow/strings.js";
import { ByteReader } from "./byte_reader.js";
import { checkSize, MAX_DOCUMENT } from "./document.js";
import { checkExpansion } from "./expansion.js";
import { kindOf } from "./magic.js";
import { damaged } from "./position.js";
import type { TextField } from "./text_field.js";
import type { Texts } from "./texts.js";
import { asBuffer, notUtf8 } from "./utf8.js";

const FILE_MAGIC = "ARROW1";
const CONTINUATION = 0xffffffff;
const HEADER = { schema: 1, dictionary: 2, batch: 3 } as const;

/** The texts of an Arrow file or stream, a row each. */
export async function* readArrow(chunks: AsyncIterable<Uint8Array>, file: string, field: TextField): Texts {
  const reader = new ByteReader(chunks);
  const arrow = new ArrowReader(reader, file, field);
  try {
    yield* arrow.texts();
  } catch (cause) {
    throw damaged(arrow.place, "an Arrow file", cause, arrow.kind);
  } finally {
    await reader.close();
  }
}

class ArrowReader {
  /** Where it is: a message's number, counted from 1 without the schema. */
  #message = 0;
  #row = 0;
  /** Bytes of the texts so far. */
  #given = 0;
  #fields: Field[] = [];
  #path: Field[] = [];
  #version = 0;
  /** Values of dictionaries, by id. */
  readonly #dictionaries = new Map<number, (Uint8Array | null)[]>();
  /** What the data is, if its beginning shows that it is something else. */
  kind: string | undefined;

  constructor(
    private readonly reader: ByteReader,
    private readonly file: string,
    private readonly textField: TextField,
  ) {}

  get place(): string {
    return this.#message === 0 ? this.file : `${this.file}: message ${this.#message}`;
  }

  async *texts(): Texts {
    const start = asBuffer(await this.reader.exactly(8));
    const isFile = start.toString("latin1", 0, 6) === FILE_MAGIC;
    if (!isFile && start.readUInt32LE(0) !== CONTINUATION) this.kind = kindOf(start);
    let prefix: Buffer | undefined = isFile ? undefined : start;
    for (let hasSchema = false; ; ) {
      const metadata = await this.#metadata(prefix);
      prefix = undefined;
      if (metadata === undefined) break;
      const message = Table.root(metadata);
      const header = message.table(2);
      const bodyLength = message.long(3);
      const begin = this.reader.position;
      if (header === undefined || bodyLength < 0) throw new Error("a message without a header");
      if (hasSchema) {
        this.#message++;
        if (message.byte(1) === HEADER.dictionary) await this.#dictionary(header, bodyLength, begin);
        else if (message.byte(1) === HEADER.batch) yield* this.#batch(new Batch(header, bodyLength), begin);
      } else {
        if (message.byte(1) !== HEADER.schema) throw new Error("it does not begin with a schema");
        this.#schema(header, message.short(0));
        hasSchema = true;
      }
      await this.reader.skip(begin + bodyLength - this.reader.position);
    }
    await this.#checkEnd(isFile);
  }

  /** The metadata of the next message; undefined at the mark of the end. */
  async #metadata(prefix: Buffer | undefined): Promise<Uint8Array | undefined> {
    const words = prefix ?? asBuffer(await this.reader.exactly(4));
    // Before Arrow 0.15, the length came without the word before it.
    const isOld = words.readUInt32LE(0) !== CONTINUATION;
    if (isOld && prefix === undefined) return this.#rest(words.readInt32LE(0), undefined);
    if (isOld) return this.#rest(words.readInt32LE(0), words.subarray(4));
    const length = prefix === undefined ? asBuffer(await this.reader.exactly(4)).readInt32LE(0) : words.readInt32LE(4);
    return this.#rest(length, undefined);
  }

  async #rest(length: number, begun: Buffer | undefined): Promise<Uint8Array | undefined> {
    if (length === 0) return undefined;
    if (length < 8 || length > 2 ** 28) throw new Error(`a message whose metadata takes ${length} bytes`);
    const rest = await this.reader.exactly(length - (begun?.length ?? 0));
    return begun === undefined ? rest : Buffer.concat([begun, rest]);
  }

  #schema(schema: Table, version: number): void {
    if (schema.short(0) !== 0) throw new DataError(`${this.file}: expected little-endian data but received big-endian`);
    this.#fields = readFields(schema.tables(1));
    this.#version = version;
    const names = this.#fields.map(({ name }) => name);
    const wanted = this.textField.choose(names, this.file, "the columns");
    const path = fieldPath(this.#fields, wanted);
    if (path === undefined) throw this.textField.missing(wanted, names, this.file, "the columns");
    const type = path.at(-1)!;
    if (!holdsText(type)) {
      const where = `${this.file}: column ${JSON.stringify(wanted)}`;
      throw new DataError(`${where}: expected strings but received values of type ${typeName(type)}`);
    }
    this.#path = path;
  }

  async #dictionary(header: Table, bodyLength: number, begin: number): Promise<void> {
    const id = header.long(0);
    const field = this.#path.at(-1)!;
    const data = header.table(1);
    if (field.dictionary?.id !== id || data === undefined) return;
    const values = header.byte(2) === 0 ? [] : (this.#dictionaries.get(id) ?? []);
    const plain = { ...field, dictionary: undefined };
    for await (const value of this.#values(new Batch(data, bodyLength), begin, [plain], [plain])) {
      values.push(value === null ? null : Uint8Array.from(value));
    }
    this.#dictionaries.set(id, values);
  }

  async *#batch(batch: Batch, begin: number): Texts {
    for await (const value of this.#values(batch, begin, this.#fields, this.#path)) {
      this.#row++;
      const where = { row: this.#row, byte: begin };
      if (value === null) {
        yield { text: null, where };
        continue;
      }
      const bytes = asBuffer(value);
      this.#given += bytes.length;
      checkExpansion(this.file, begin + batch.bodyLength, this.#given);
      if (!isUtf8(bytes)) throw notUtf8(this.file, bytes, { row: this.#row, byte: 0 });
      yield { text: bytes.toString("utf8"), where };
    }
  }

  /** The values of the column at the end of `path`. */
  async *#values(batch: Batch, begin: number, fields: Field[], path: Field[]): AsyncGenerator<Uint8Array | null> {
    const field = path.at(-1)!;
    const layout = layoutOf(fields, path, batch.variadicCounts, this.#version);
    const own = layout.buffers.at(-1)!;
    const hasData = field.dictionary === undefined && !isView(field);
    const views = isView(field) && field.dictionary === undefined ? batch.variadicCounts[layout.variadic]! : 0;
    // Data with offsets that is not compressed is read value by value.
    const streams = hasData && !batch.isCompressed;
    const wanted = [...layout.buffers, own + 1];
    if (hasData && !streams) wanted.push(own + 2);
    for (let i = 0; i < views; i++) {
      batch.range(own + 2 + i); // or a count that is damaged would fill the memory first
      wanted.push(own + 2 + i);
    }
    const buffers = await batch.read(this.reader, begin, wanted);
    const validities = buffers.slice(0, path.length);
    if (validities.some(({ length }) => length > 0 && 8 * length < batch.length)) {
      throw new Error("a validity that is cut short");
    }
    const main = buffers[path.length]!;
    const value = hasData
      ? await this.#stringsOf(field, batch, begin, own + 2, main, streams ? undefined : buffers[path.length + 1]!)
      : field.dictionary === undefined
        ? (i: number) => viewAt(main, i, buffers.slice(path.length + 1))
        : this.#entries(field.dictionary, main);
    for (let i = 0; i < batch.length; i++) {
      // Also of a value that is null, which may have bytes.
      const found = streams || validities.every((validity) => isValid(validity, i)) ? await value(i) : null;
      yield validities.every((validity) => isValid(validity, i)) ? found : null;
    }
  }

  async #stringsOf(
    field: Field,
    batch: Batch,
    begin: number,
    buffer: number,
    offsetBytes: Uint8Array,
    loaded: Uint8Array | undefined,
  ): Promise<(index: number) => Uint8Array | Promise<Uint8Array>> {
    const offset = offsetsOf(field, offsetBytes, batch.length);
    const { offset: from, length } = batch.range(buffer);
    const end = loaded === undefined ? length : loaded.length;
    const bounds = (index: number): { first: number; last: number } => {
      const first = offset(index);
      const last = offset(index + 1);
      if (first < 0 || last < first || last > end) throw new Error("offsets that do not lie in their data");
      checkSize(last - first, MAX_DOCUMENT, "a document", { row: this.#row + 1, byte: begin }, this.file);
      return { first, last };
    };
    return loaded === undefined
      ? async (index) => {
          const { first, last } = bounds(index);
          if (first === last) return new Uint8Array(0);
          await batch.moveTo(this.reader, begin, from + first);
          return this.reader.exactly(last - first);
        }
      : (index) => {
          const { first, last } = bounds(index);
          return loaded.subarray(first, last);
        };
  }

  #entries(dictionary: NonNullable<Field["dictionary"]>, indices: Uint8Array): (index: number) => Uint8Array | null {
    const index = indicesOf(dictionary, indices);
    const values = this.#dictionaries.get(dictionary.id) ?? [];
    return (i) => {
      const value = values[index(i)];
      if (value === undefined) throw new Error("a value that its dictionary does not have");
      return value;
    };
  }

  /** A file has a footer after the stream, and its magic again. */
  async #checkEnd(isFile: boolean): Promise<void> {
    let tail = Buffer.alloc(0);
    let count = 0;
    for (let bytes = await this.reader.upTo(65_536); bytes.length > 0; bytes = await this.reader.upTo(65_536)) {
      count += bytes.length;
      tail = Buffer.concat([tail, bytes]).subarray(-6);
    }
    if (isFile && tail.toString("latin1") !== FILE_MAGIC) throw new Error("its end is missing");
    if (!isFile && count > 0) throw new Error("other data after its end");
  }
}
