/** Reads the column `text` of a Parquet file. */
import { DataError } from "../errors.js";

/**
 * Yields the strings of the column `text`, a row group at a time, skipping null. `onBytes` is called with the file's
 * bytes in proportion to the rows read. Throws DataError for a damaged file, a missing column or another type.
 */
export async function* readParquetTexts(file: string, onBytes?: (bytes: number) => void): AsyncGenerator<string> {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import("hyparquet");
  const { compressors } = await import("hyparquet-compressors");
  const damaged = (cause: Error): never => {
    throw new DataError(`${file}: expected a Parquet file but received another or a damaged one: ${cause.message}`, {
      cause,
    });
  };
  const buffer = await asyncBufferFromFile(file).catch(damaged);
  const metadata = await parquetMetadataAsync(buffer).catch(damaged);
  const columns = parquetSchema(metadata).children.map((child) => child.element.name);
  if (!columns.includes("text")) {
    throw new DataError(`${file}: expected a column "text" but received the columns ${columns.join(", ")}`);
  }
  const total = Number(metadata.num_rows);
  let row = 0;
  for (const group of metadata.row_groups) {
    const end = row + Number(group.num_rows);
    const range = { file: buffer, metadata, columns: ["text"], rowStart: row, rowEnd: end, compressors };
    for (const { text } of await parquetReadObjects(range).catch(damaged)) {
      row++;
      if (typeof text === "string") yield text;
      else if (text !== null && text !== undefined) {
        throw new DataError(`${file}: row ${row}: text: expected a string but received a ${typeof text}`);
      }
    }
    onBytes?.(buffer.byteLength * (Number(group.num_rows) / total));
  }
}
