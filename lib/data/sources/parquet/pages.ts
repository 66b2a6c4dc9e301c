/** The pages of one column in one row group. */
import type { ColumnChunk, Compressors, PageHeader, SchemaTree } from "hyparquet";
import { mayExpand } from "../expansion.js";
import type { ByteStrings } from "./byte_strings.js";
import { crc32 } from "./crc32.js";
import { type PageValues, readDataPage, readDictionary } from "./data_page.js";

/** Bytes in which a page's header is looked for first; one with long statistics may take more … */
const HEADER = 1 << 14;

/** … but not as many. */
const MOST_HEADER = 1 << 24;

/** The most values of a page: writers end one after some ten thousand rows. */
const MOST_VALUES = 10_000_000;

/** Reads bytes of the file, all or an Error. */
export type ReadAt = (position: number, length: number) => Promise<Uint8Array>;

type ParquetHeader = (reader: { view: DataView; offset: number }) => PageHeader;

/** A data page. */
export interface Page extends PageValues {
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
  // An ES module, which CommonJS cannot `require`: loaded when needed.
  const { parquetHeader } = await import("hyparquet/src/column.js");
  const maxLevel = schemaPath.slice(1).filter((node) => node.element.repetition_type !== "REQUIRED").length;
  const column = { codec: meta.codec, compressors, maxLevel };
  const dictionaryOffset = Number(meta.dictionary_page_offset ?? 0);
  let position = Number(meta.data_page_offset);
  if (dictionaryOffset > 0) position = Math.min(position, dictionaryOffset);
  const end = position + Number(meta.total_compressed_size);
  let dictionary: ByteStrings | undefined;
  let left = Number(meta.num_values);
  while (left > 0) {
    if (position >= end) throw new Error(`${left} values are missing`);
    const begin = position;
    const { header, length } = await readHeader(parquetHeader, readAt, position, end);
    const size = header.compressed_page_size;
    if (!(size >= 0) || begin + length + size > end) throw new Error(`${at(begin)}: a damaged page header`);
    if (bomb(header)) throw new Error(`${at(begin)}: a page that comes to more than its bytes can`);
    const bytes = (await readAt(begin + length, size)).slice();
    position = begin + length + size;
    try {
      if (header.crc !== undefined && (header.crc | 0) !== crc32(bytes)) throw new Error("its CRC does not match");
      if (header.type === "DICTIONARY_PAGE") dictionary = readDictionary(bytes, header, column);
      if (header.type !== "DATA_PAGE" && header.type !== "DATA_PAGE_V2") continue;
      const page = readDataPage(bytes, header, column, dictionary);
      yield { ...page, position: begin };
      left -= page.count;
    } catch (cause) {
      throw new Error(`${at(begin)}: ${(cause as Error).message}`, { cause });
    }
  }
}

/** Whether a page's header asks for more memory than its bytes can be worth. */
function bomb(header: PageHeader): boolean {
  const { compressed_page_size: bytes, uncompressed_page_size: given } = header;
  const { dictionary_page_header: dictionary, data_page_header: first, data_page_header_v2: second } = header;
  const counts = [dictionary?.num_values, first?.num_values, second?.num_values, second?.num_nulls];
  const isCount = (count: unknown) =>
    count === undefined || (Number.isInteger(count) && (count as number) >= 0 && (count as number) <= MOST_VALUES);
  return !(given >= 0 && mayExpand(bytes, given) && counts.every(isCount));
}

function at(position: number): string {
  return `page at byte ${position}`;
}

async function readHeader(parquetHeader: ParquetHeader, readAt: ReadAt, position: number, end: number) {
  for (let length = HEADER; ; length *= 4) {
    const bytes = await readAt(position, Math.min(length, end - position));
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
    try {
      return { header: parquetHeader(reader), length: reader.offset };
    } catch (cause) {
      if (length < Math.min(end - position, MOST_HEADER)) continue;
      // The cause's message is about bytes that the page does not have.
      throw new Error(`${at(position)}: a damaged page header`, { cause });
    }
  }
}
