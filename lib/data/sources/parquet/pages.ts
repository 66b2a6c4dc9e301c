/** The pages of one column in one row group. */
import type { ColumnChunk, Compressors, PageHeader, SchemaTree } from "hyparquet";
import { mayExpand } from "../expansion.js";
import { crc32 } from "./crc32.js";

/** Bytes in which a page's header is looked for first; one with long statistics may take more. */
const HEADER = 1 << 14;

/** Reads bytes of the file, all or an Error. */
export type ReadAt = (position: number, length: number) => Promise<Uint8Array>;

/** The parts of hyparquet that read pages. It is an ES module, which CommonJS cannot `require`: loaded when needed. */
async function pageReaders() {
  const [{ parquetHeader }, { DEFAULT_PARSERS }, datapage, { readPlain }] = await Promise.all([
    import("hyparquet/src/column.js"),
    import("hyparquet/src/convert.js"),
    import("hyparquet/src/datapage.js"),
    import("hyparquet/src/plain.js"),
  ]);
  const { decompressPage, readDataPage, readDataPageV2 } = datapage;
  return { parquetHeader, DEFAULT_PARSERS, decompressPage, readDataPage, readDataPageV2, readPlain };
}

type PageReaders = Awaited<ReturnType<typeof pageReaders>>;

/** The values of a data page, null where there is none. */
export interface Page {
  readonly values: (Uint8Array | null)[];
  /** Where its header begins in the file. */
  readonly position: number;
}

/**
 * Reads a column's pages one at a time, so that memory does not grow with the row group. Their CRCs are verified where
 * they have any. Throws an Error that says what is damaged.
 */
export async function* readPages(
  chunk: ColumnChunk,
  schemaPath: SchemaTree[],
  readAt: ReadAt,
  compressors: Compressors,
): AsyncGenerator<Page> {
  const { meta_data: meta } = chunk;
  if (meta === undefined || chunk.file_path) throw new Error("its column is encrypted or in another file");
  const { element } = schemaPath.at(-1)!;
  const readers = await pageReaders();
  const { decompressPage, readDataPage, readDataPageV2, readPlain } = readers;
  const decoder = {
    pathInSchema: meta.path_in_schema,
    type: meta.type,
    element,
    schemaPath,
    codec: meta.codec,
    parsers: readers.DEFAULT_PARSERS,
    compressors,
  };
  const maxLevel = schemaPath.slice(1).filter((node) => node.element.repetition_type !== "REQUIRED").length;
  const dictionaryOffset = Number(meta.dictionary_page_offset ?? 0);
  let position = Number(meta.data_page_offset);
  if (dictionaryOffset > 0) position = Math.min(position, dictionaryOffset);
  const end = position + Number(meta.total_compressed_size);
  let dictionary: Uint8Array[] | undefined;
  let left = Number(meta.num_values);
  while (left > 0) {
    if (position >= end) throw new Error(`${left} values are missing`);
    const begin = position;
    const { header, length } = await readHeader(readers, readAt, position, end);
    const size = header.compressed_page_size;
    if (!(size >= 0) || begin + length + size > end) throw new Error(`${at(begin)}: a damaged page header`);
    if (bomb(header)) throw new Error(`${at(begin)}: a page that comes to more than its bytes can`);
    const bytes = (await readAt(begin + length, size)).slice();
    position = begin + length + size;
    try {
      if (header.crc !== undefined && (header.crc | 0) !== crc32(bytes)) throw new Error("its CRC does not match");
      if (header.type === "DICTIONARY_PAGE") {
        const page = decompressPage(bytes, header.uncompressed_page_size, meta.codec, compressors);
        const reader = { view: new DataView(page.buffer, page.byteOffset, page.byteLength), offset: 0 };
        const { num_values: count } = present(header.dictionary_page_header);
        dictionary = readPlain(reader, meta.type, count, undefined) as Uint8Array[];
        continue;
      }
      if (header.type !== "DATA_PAGE" && header.type !== "DATA_PAGE_V2") continue;
      const isFirst = header.type === "DATA_PAGE";
      const head = present(isFirst ? header.data_page_header : header.data_page_header_v2);
      const page = isFirst
        ? readDataPage(
            decompressPage(bytes, header.uncompressed_page_size, meta.codec, compressors),
            header.data_page_header!,
            decoder,
          )
        : readDataPageV2(bytes, header, decoder);
      const values = dereference(page.dataPage, head.encoding, dictionary);
      yield { values: withNulls(values, page.definitionLevels, maxLevel, head.num_values), position: begin };
      left -= head.num_values;
    } catch (cause) {
      throw new Error(`${at(begin)}: ${(cause as Error).message}`, { cause });
    }
  }
}

/** The most values of a page: writers end one after some ten thousand rows. */
const MOST_VALUES = 10_000_000;

/** Whether a page's header asks for more memory than its bytes can be worth. */
function bomb(header: PageHeader): boolean {
  const { compressed_page_size: bytes, uncompressed_page_size: given } = header;
  const { dictionary_page_header: dictionary, data_page_header: first, data_page_header_v2: second } = header;
  const counts = [dictionary?.num_values, first?.num_values, second?.num_values, second?.num_nulls];
  const isCount = (count: number | undefined) => count === undefined || (count >= 0 && count <= MOST_VALUES);
  return !(given >= 0 && mayExpand(bytes, given) && counts.every(isCount));
}

/** The part of a header that its type calls for. */
function present<T>(part: T | undefined): T {
  if (part === undefined) throw new Error("a damaged page header");
  return part;
}

function at(position: number): string {
  return `page at byte ${position}`;
}

async function readHeader({ parquetHeader }: PageReaders, readAt: ReadAt, position: number, end: number) {
  for (let length = HEADER; ; length *= 4) {
    const bytes = await readAt(position, Math.min(length, end - position));
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
    try {
      return { header: parquetHeader(reader), length: reader.offset };
    } catch (cause) {
      if (length < end - position) continue;
      throw new Error(`${at(position)}: a damaged page header: ${(cause as Error).message}`, { cause });
    }
  }
}

/** The values of a page, by way of the dictionary if that is its encoding. */
function dereference(data: ArrayLike<unknown>, encoding: string, dictionary: Uint8Array[] | undefined): Uint8Array[] {
  const isIndexed = encoding.endsWith("_DICTIONARY");
  return Array.from(data, (item) => {
    const value = isIndexed ? dictionary?.[item as number] : item;
    if (!(value instanceof Uint8Array)) throw new Error("a value that is not there");
    return value;
  });
}

function withNulls(
  values: Uint8Array[],
  levels: ArrayLike<number> | undefined,
  maxLevel: number,
  count: number,
): (Uint8Array | null)[] {
  let next = 0;
  const all =
    levels === undefined || levels.length === 0
      ? values
      : Array.from(levels, (level) => (level === maxLevel ? values[next++]! : null));
  if (all.length !== count || (next > 0 && next !== values.length) || all.includes(undefined as never)) {
    throw new Error(`a page of ${count} values that holds ${all.length}`);
  }
  return all;
}
