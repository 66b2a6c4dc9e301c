/**
 * Documents from files, as streams.
 *
 * | name ends in | documents |
 * |---|---|
 * | `.txt`, `.md`, no extension | the whole file is one |
 * | `.jsonl`, `.ndjson` | one per line: an object's text field |
 * | `.json` | one per element of the array; or one per object, of one or several |
 * | `.csv` | one per row: the column, which the first row names |
 * | `.parquet`, `.arrow` | one per row: the column |
 *
 * All may be compressed: `.gz`, `.zst`, `.xz`, `.bz2`. Records whose text is null or empty are passed over. Data from a
 * pipe or from standard input (`-`) is what it begins like: sniff.ts. Parquet is read at random places, and a table with
 * prompts once for each column: of data that comes from beginning to end, a copy is read (spool.ts).
 */
import { stat } from "node:fs/promises";
import { DataError } from "../errors.js";
import { readArrow } from "./sources/arrow.js";
import { readBytes, STANDARD_INPUT } from "./sources/bytes.js";
import { decompress } from "./sources/compression.js";
import { readCsv } from "./sources/csv.js";
import { checkText, type PassedOver, type SourcePiece } from "./sources/document.js";
import { type Format, knownFormat, sourceFormat } from "./sources/formats.js";
import { readJson } from "./sources/json.js";
import { readJsonl } from "./sources/jsonl.js";
import { readParquet } from "./sources/parquet.js";
import { peek, sniffCompression, sniffFormat } from "./sources/sniff.js";
import { spooled } from "./sources/spool.js";
import { COMPLETION, TextField } from "./sources/text_field.js";
import { readText } from "./sources/text_file.js";
import type { Texts } from "./sources/texts.js";

export type { PassedOver, SourcePiece, TextPiece } from "./sources/document.js";
export type { FoundSources, Source } from "./sources/find.js";
export { findSources, keepSource } from "./sources/find.js";
export { sourceFormat } from "./sources/formats.js";
export type { Position } from "./sources/position.js";
export { place } from "./sources/position.js";

const EXPECTED: Readonly<Record<Format, string>> = {
  text: "text",
  jsonl: "JSONL",
  json: "JSON",
  csv: "comma-separated values",
  parquet: "a Parquet file",
  arrow: "an Arrow file",
};

/** What `readDocuments` may be told. */
export interface ReadOptions {
  /**
   * Field or column of the text, with dots for one inside another. Without it `text`, or the only one that is there of
   * the usual names (text_field.ts).
   */
  readonly textField?: string;
  /** Field or column of the prompt before the text; then `textField` is `completion` by default. */
  readonly promptField?: string;
  /** Called for each record that gives no document. */
  readonly onPassedOver?: (reason: PassedOver) => void;
  /** Called with what was taken for granted, to be shown: a field, a format. */
  readonly onNote?: (note: string) => void;
  /** Where the file's bytes are, if they are not at its name. */
  readonly path?: string;
}

/**
 * The documents of a file, in order, none of them empty; that of a text file comes in pieces. `onBytes` is called with the
 * number of bytes as the file is read. Throws DataError naming the file and the position for data that is damaged, is
 * not UTF-8 or has no text.
 */
export async function* readDocuments(
  file: string,
  onBytes?: (bytes: number) => void,
  options: ReadOptions = {},
): AsyncGenerator<SourcePiece> {
  const { promptField, onPassedOver, onNote, path = file } = options;
  const { textField = promptField === undefined ? undefined : COMPLETION } = options;
  const onFound = (name: string) => onNote?.(`${file}: no field "text": reading ${JSON.stringify(name)}`);
  const field = new TextField(textField, promptField, onFound);
  const texts = await openTexts(file, path, field, onBytes, onNote);
  for await (const { text, prompt, where, continues = false } of texts) {
    if (text === null) onPassedOver?.("null");
    else if (text === "") onPassedOver?.("empty");
    else {
      checkText(text, where, file);
      if (prompt) {
        checkText(prompt, where, file);
        yield { text: prompt, first: true, prompt: true, where };
      }
      yield { text, first: !continues && !prompt, prompt: false, where };
    }
  }
}

async function openTexts(
  file: string,
  path: string,
  field: TextField,
  onBytes: ((bytes: number) => void) | undefined,
  onNote: ((note: string) => void) | undefined,
): Promise<Texts> {
  const isFile = await isRegular(file);
  const known = knownFormat(file) ?? (isFile ? sourceFormat(file) : undefined);
  if (known !== undefined) {
    const { format, compression } = known;
    const expected = compression === "none" ? EXPECTED[format] : `${compression} data`;
    const bytes = (counted = onBytes) => decompress(readBytes(path, file, expected, counted), compression, file);
    if (format !== "parquet" && format !== "arrow") return read(format, bytes(), file, field);
    const isPipe = !isFile && path === file;
    if (isCopied(format, field, isPipe, compression !== "none")) return readCopy(format, bytes(), file, field);
    return readTable(field, (own, isFirst) => {
      const counted = isFirst ? onBytes : () => undefined;
      return format === "parquet" ? readParquet(path, file, own, counted) : readArrow(bytes(counted), file, own);
    });
  }
  const outer = await peek(readBytes(path, file, "text", onBytes));
  const compression = sniffCompression(outer.start);
  const inner = await peek(decompress(outer.all, compression, file));
  const format = sniffFormat(inner.start);
  onNote?.(`${file}: reading it as ${EXPECTED[format]}${compression === "none" ? "" : `, ${compression} data`}`);
  if (format === "parquet" || format === "arrow") {
    if (isCopied(format, field, true, true)) return readCopy(format, inner.all, file, field);
    return readArrow(inner.all, file, field);
  }
  return read(format, inner.all, file, field);
}

/** Whether it is a file that its name describes; false for a pipe. What does not exist is told when it is opened. */
async function isRegular(file: string): Promise<boolean> {
  if (file === STANDARD_INPUT || file.startsWith("/dev/")) return false;
  const facts = await stat(file).catch(() => undefined);
  return facts === undefined || !(facts.isFIFO() || facts.isCharacterDevice());
}

/** Whether a table is read from a copy: its bytes come from beginning to end, and that is not how it is read. */
function isCopied(format: "parquet" | "arrow", field: TextField, isPipe: boolean, isCompressed: boolean): boolean {
  return format === "parquet" ? isPipe || isCompressed : isPipe && field.hasPrompt;
}

function readCopy(
  format: "parquet" | "arrow",
  bytes: AsyncIterable<Uint8Array>,
  file: string,
  field: TextField,
): Texts {
  return spooled(bytes, file, (copy) =>
    readTable(field, (own) =>
      format === "parquet" ? readParquet(copy, file, own) : readArrow(readBytes(copy, file, EXPECTED.arrow), file, own),
    ),
  );
}

/** The rows of a table. @param column reads a field's column */
function readTable(field: TextField, column: (field: TextField, isFirst: boolean) => Texts): Texts {
  const { ofPrompt } = field;
  return ofPrompt === null ? column(field, true) : withPrompts(column(field, true), column(ofPrompt, false));
}

/** The rows of a table with prompts, of readers that give one column each. */
async function* withPrompts(texts: Texts, prompts: Texts): Texts {
  try {
    for await (const row of texts) {
      const { value } = await prompts.next();
      yield { ...row, prompt: value?.text ?? null };
    }
    await prompts.next(); // lets it check the end of the file
  } finally {
    await prompts.return(undefined);
  }
}

function read(
  format: Exclude<Format, "parquet" | "arrow">,
  bytes: AsyncIterable<Uint8Array>,
  file: string,
  field: TextField,
): Texts {
  if (format === "text") {
    if (!field.hasPrompt) return readText(bytes, file);
    throw new DataError(`${file}: expected records, as they have prompts, but received text`);
  }
  return { jsonl: readJsonl, json: readJson, csv: readCsv }[format](bytes, file, field);
}
