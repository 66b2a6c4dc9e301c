import { isUtf8 } from "node:buffer";
import type { FileMetaData, SchemaTree } from "hyparquet";
import { openFile } from "../../disk/read_text.js";
import { DataError, unusable } from "../../errors.js";
import { refuseStandIn } from "./bytes.js";
import { checkSize, MAX_DOCUMENT } from "./document.js";
import { checkExpansion } from "./expansion.js";
import { kindOf } from "./magic.js";
import { pageCodecs } from "./parquet/codecs.js";
import { textColumn } from "./parquet/column.js";
import { type ReadAt, readPages } from "./parquet/pages.js";
import { damaged } from "./position.js";
import type { TextField } from "./text_field.js";
import type { Texts } from "./texts.js";
import { asBuffer, notUtf8 } from "./utf8.js";

/** Bytes read from the file at least at a time. */
const READ = 1 << 18;

/** The most bytes of a footer, whose every byte can stand for a value in memory. */
const MOST_FOOTER = 1 << 24;

/**
 * The texts of a Parquet file, a row each, page by page. `onBytes` is called with the file's bytes in proportion to the
 * rows read.
 */
export async function* readParquet(
  path: string,
  file: string,
  field: TextField,
  onBytes?: (bytes: number) => void,
): Texts {
  const handle = await openFile(path).catch((cause: unknown) => {
    throw new DataError(`${file}: expected a Parquet file but received ${unusable(cause)}`, { cause });
  });
  let where = file;
  let kind: string | undefined;
  try {
    const { size } = await handle.stat();
    const readAt = windowed(async (position, length) => {
      const bytes = new Uint8Array(Math.max(0, Math.min(length, size - position)));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, position);
      return bytes.subarray(0, bytesRead);
    });
    const start = await readAt(0, Math.min(1024, size));
    refuseStandIn(start, file, "a Parquet file");
    kind = kindOf(start);
    const { metadata, root } = await readFooter(readAt, size);
    const column = textColumn(root, file, field);
    const name = column.slice(1).map(({ element }) => element.name);
    const codecs = await pageCodecs();
    const total = Number(metadata.num_rows);
    let row = 0;
    let given = 0;
    for (const [index, group] of metadata.row_groups.entries()) {
      where = `${file}: row group ${index + 1} of ${metadata.row_groups.length}`;
      const chunk = group.columns.find(({ meta_data: meta }) => meta?.path_in_schema.join("\0") === name.join("\0"));
      if (chunk === undefined) throw new Error("its column is missing");
      const before = row;
      for await (const { count, values, position } of readPages(chunk, column, readAt, codecs)) {
        for (const value of values) {
          row++;
          given += value?.length ?? 0;
          checkExpansion(file, size, given);
          yield { text: value === null ? null : textOf(value, row, file), where: { row, byte: position } };
        }
        onBytes?.((size * count) / total);
      }
      if (row - before !== Number(group.num_rows)) {
        throw new Error(`it has ${Number(group.num_rows)} rows but its column ${row - before}`);
      }
    }
    if (row !== total) throw new Error(`${total} rows in a file that holds ${row}`);
  } catch (cause) {
    throw damaged(where, "a Parquet file", cause, kind);
  } finally {
    await handle.close();
  }
}

async function readFooter(readAt: ReadAt, size: number): Promise<{ metadata: FileMetaData; root: SchemaTree }> {
  const { parquetMetadataAsync, parquetSchema } = await import("hyparquet");
  const slice = async (from: number, to = size): Promise<ArrayBuffer> => {
    if (to - from > MOST_FOOTER) throw new Error(`a footer of ${to - from} bytes`);
    const bytes = await readAt(from, to - from);
    return bytes.slice().buffer as ArrayBuffer;
  };
  try {
    const metadata = await parquetMetadataAsync({ byteLength: size, slice }, { geoparquet: false });
    return { metadata, root: parquetSchema(metadata) };
  } catch (cause) {
    const isMissing = (cause as Error).message.includes("PAR1") || size < 12;
    throw new Error(isMissing ? "it does not end like one" : "its footer is damaged", { cause });
  }
}

function textOf(value: Uint8Array, row: number, file: string): string {
  const bytes = asBuffer(value);
  checkSize(bytes.length, MAX_DOCUMENT, "a document", { row, byte: 0 }, file);
  if (!isUtf8(bytes)) throw notUtf8(file, bytes, { row, byte: 0 });
  return bytes.toString("utf8");
}

/** Reads somewhat more than is asked for, and answers from that. Throws an Error where the file ends too early. */
function windowed(read: ReadAt): ReadAt {
  let window = new Uint8Array(0);
  let begin = 0;
  return async (position, length) => {
    if (!(position >= 0 && length >= 0)) throw new Error("its parts do not fit together");
    if (position < begin || position + length > begin + window.length) {
      window = Uint8Array.from(await read(position, Math.max(length, READ)));
      begin = position;
    }
    const bytes = window.subarray(position - begin, position - begin + length);
    if (bytes.length < length) throw new Error("it is cut short");
    return bytes;
  };
}
