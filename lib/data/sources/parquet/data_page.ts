/**
 * The strings of a data page. hyparquet reads them, too, but trusts what a page says of itself: a run of a billion values
 * in five bytes is a billion values in memory, and a length beyond the page is other memory of the process.
 */
import type { CompressionCodec, Compressors, PageHeader } from "hyparquet";
import { mayExpand } from "../expansion.js";
import { ByteStrings } from "./byte_strings.js";
import { readHybrid } from "./hybrid.js";

/** What all pages of a column have in common. */
export interface ColumnPages {
  readonly codec: CompressionCodec;
  readonly compressors: Compressors;
  /** The definition level of a value that is there: how many of the column's parents, and itself, may be null. */
  readonly maxLevel: number;
}

/** The values of a data page. */
export interface PageValues {
  readonly count: number;
  /** Null where there is none. */
  readonly values: Iterable<Uint8Array | null>;
}

/** The values of a dictionary page. */
export function readDictionary(
  bytes: Uint8Array,
  header: PageHeader,
  { codec, compressors }: ColumnPages,
): ByteStrings {
  const { num_values: count } = present(header.dictionary_page_header);
  return ByteStrings.plain(decompress(bytes, header.uncompressed_page_size, codec, compressors), count);
}

/** @throws Error that says what is damaged */
export function readDataPage(
  bytes: Uint8Array,
  header: PageHeader,
  column: ColumnPages,
  dictionary: ByteStrings | undefined,
): PageValues {
  const { levels, rest, count, encoding } =
    header.type === "DATA_PAGE" ? firstVersion(bytes, header, column) : secondVersion(bytes, header, column);
  const there = levels === null ? count : levels.reduce((sum, level) => sum + (level === column.maxLevel ? 1 : 0), 0);
  const at = readValues(rest, encoding, there, dictionary, bytes.length);
  return { count, values: withNulls(levels, column.maxLevel, count, at) };
}

interface Parts {
  /** Null: every value is there. */
  readonly levels: Uint32Array | null;
  /** The page's bytes behind its levels. */
  readonly rest: Uint8Array;
  readonly count: number;
  readonly encoding: string;
}

function firstVersion(bytes: Uint8Array, header: PageHeader, column: ColumnPages): Parts {
  const head = present(header.data_page_header);
  const { num_values: count, encoding, definition_level_encoding: levelEncoding } = head;
  const page = decompress(bytes, header.uncompressed_page_size, column.codec, column.compressors);
  if (column.maxLevel === 0) return { levels: null, rest: page, count, encoding };
  if (levelEncoding !== "RLE") throw new Error(`levels in the encoding ${levelEncoding}, which is not supported`);
  const length = page.length < 4 ? 0 : new DataView(page.buffer, page.byteOffset, 4).getUint32(0, true);
  if (4 + length > page.length) throw new Error("a page that is shorter than its levels");
  return {
    levels: levelsOf(page.subarray(4, 4 + length), column, count),
    rest: page.subarray(4 + length),
    count,
    encoding,
  };
}

function secondVersion(bytes: Uint8Array, header: PageHeader, column: ColumnPages): Parts {
  const head = present(header.data_page_header_v2);
  const { num_values: count, num_nulls: nulls, encoding } = head;
  const begin = head.repetition_levels_byte_length;
  const end = begin + head.definition_levels_byte_length;
  if (!(begin >= 0 && end >= begin && end <= bytes.length)) throw new Error("a page that is shorter than its levels");
  const levels = column.maxLevel === 0 ? null : levelsOf(bytes.subarray(begin, end), column, count);
  const found = levels?.reduce((sum, level) => sum + (level === column.maxLevel ? 0 : 1), 0) ?? 0;
  if (found !== nulls) throw new Error(`a page with ${nulls} nulls that holds ${found}`);
  const packed = bytes.subarray(end);
  const rest =
    head.is_compressed === false
      ? packed
      : decompress(packed, header.uncompressed_page_size - end, column.codec, column.compressors);
  return { levels, rest, count, encoding };
}

function levelsOf(bytes: Uint8Array, { maxLevel }: ColumnPages, count: number): Uint32Array {
  const levels = readHybrid(bytes, 32 - Math.clz32(maxLevel), count);
  if (levels.some((level) => level > maxLevel)) throw new Error("a level above the column's");
  return levels;
}

/** What gives the values that are there, by their index. */
function readValues(
  bytes: Uint8Array,
  encoding: string,
  count: number,
  dictionary: ByteStrings | undefined,
  compressed: number,
): (index: number) => Uint8Array {
  if (count === 0) return () => new Uint8Array(0);
  if (encoding === "PLAIN_DICTIONARY" || encoding === "RLE_DICTIONARY") {
    const indices = readHybrid(bytes.subarray(1), bytes[0] ?? 0, count);
    if (dictionary === undefined || indices.some((index) => index >= dictionary.count)) {
      throw new Error("a value that is not there");
    }
    return (index) => dictionary.at(indices[index]!);
  }
  const strings = stringsOf(bytes, encoding, count, compressed);
  return (index) => strings.at(index);
}

function stringsOf(bytes: Uint8Array, encoding: string, count: number, compressed: number): ByteStrings {
  if (encoding === "PLAIN") return ByteStrings.plain(bytes, count);
  if (encoding === "DELTA_LENGTH_BYTE_ARRAY") return ByteStrings.lengthsFirst(bytes, count);
  if (encoding === "DELTA_BYTE_ARRAY") {
    return ByteStrings.prefixed(bytes, count, (given) => mayExpand(compressed, given));
  }
  throw new Error(`the encoding ${encoding}, which is not supported`);
}

function* withNulls(
  levels: Uint32Array | null,
  maxLevel: number,
  count: number,
  at: (index: number) => Uint8Array,
): Generator<Uint8Array | null> {
  for (let i = 0, next = 0; i < count; i++) yield levels === null || levels[i] === maxLevel ? at(next++) : null;
}

function decompress(bytes: Uint8Array, size: number, codec: CompressionCodec, compressors: Compressors): Uint8Array {
  const decoder = compressors[codec];
  if (codec !== "UNCOMPRESSED" && decoder === undefined) throw new Error(`the codec ${codec}, which is not supported`);
  const page = codec === "UNCOMPRESSED" ? bytes : decoder!(bytes, size);
  if (page.length !== size) throw new Error(`a page of ${page.length} bytes that should be ${size}`);
  return page;
}

/** The part of a header that its type calls for. */
function present<T>(part: T | undefined): T {
  if (part === undefined) throw new Error("a damaged page header");
  return part;
}
