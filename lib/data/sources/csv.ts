import { CsvError, type Info, parse } from "csv-parse";
import { DataError } from "../../errors.js";
import { MAX_RECORD } from "./document.js";
import { place } from "./position.js";
import type { TextField } from "./text_field.js";
import type { RecordText, Texts } from "./texts.js";
import { checkUtf8 } from "./utf8.js";

/** The texts of a comma-separated file (RFC 4180) whose first row names the columns. */
export async function* readCsv(chunks: AsyncIterable<Uint8Array>, file: string, field: TextField): Texts {
  let ready: RecordText[] = [];
  let failure: Error | undefined;
  let columns: ReturnType<TextField["columns"]> | undefined;
  let row = 0;
  let line = 1;
  let byte = 0;
  const parser = parse({
    info: true,
    record_delimiter: ["\r\n", "\n", "\r"],
    skip_empty_lines: true,
    max_record_size: MAX_RECORD,
  });
  const take = ({ record, info }: { record: string[]; info: Info }): void => {
    if (columns === undefined) columns = field.columns(record, place(file, { line: 1 }), "the columns");
    else {
      row++;
      const prompt = columns.prompt === undefined ? {} : { prompt: record[columns.prompt]! };
      ready.push({ text: record[columns.text]!, ...prompt, where: { line, row, byte } });
    }
    line = info.lines + 1;
    byte = info.bytes;
  };
  const fail = (error: Error): void => {
    failure ??= error;
  };
  const drain = (): void => {
    try {
      for (let item = parser.read(); item !== null && failure === undefined; item = parser.read()) take(item);
    } catch (error) {
      fail(error as Error);
    }
  };
  parser.on("readable", drain);
  parser.on("error", fail);
  for await (const chunk of checkUtf8(chunks, file)) {
    await new Promise<void>((resolve) => void parser.write(chunk, () => resolve()));
    drain();
    if (failure !== undefined) throw notCsv(failure, file);
    yield* ready;
    ready = [];
  }
  await new Promise<void>((resolve) => {
    parser.once("error", () => resolve());
    parser.end(resolve);
  });
  drain();
  if (failure !== undefined) throw notCsv(failure, file);
  yield* ready;
}

function notCsv(cause: Error, file: string): Error {
  if (!(cause instanceof CsvError)) return cause;
  const { lines } = cause as CsvError & { lines?: number };
  const where = lines === undefined ? file : place(file, { line: lines });
  return new DataError(`${where}: expected comma-separated values but received other text: ${cause.message}`, {
    cause,
  });
}
