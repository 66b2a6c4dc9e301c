import { describe, show } from "../arguments.js";
import { readBytes } from "../data/sources/bytes.js";
import { decompress } from "../data/sources/compression.js";
import { knownFormat } from "../data/sources/formats.js";
import { splitLines } from "../data/sources/lines.js";
import { place } from "../data/sources/position.js";
import { checkUtf8 } from "../data/sources/utf8.js";
import { ConfigError, DataError } from "../errors.js";
import { type FileRecord, readJsonlRecords } from "../evaluate/records.js";

/** A prompt of a file, and where it is: `a.txt:3`. */
export interface FilePrompt {
  readonly prompt: string;
  readonly where: string;
}

/**
 * The prompts of a file, plain or compressed: of JSONL, each line's string or its object's `prompt`; of any other file,
 * each line. Lines of white space are passed over.
 * @throws ConfigError naming the file, and the line of what is no prompt: the flag names another file than was meant
 */
export async function readPrompts(file: string): Promise<FilePrompt[]> {
  const prompts: FilePrompt[] = [];
  try {
    const records = knownFormat(file)?.format === "jsonl" ? readJsonlRecords(file) : readLines(file);
    for await (const record of records) prompts.push(promptOf(record));
    if (prompts.length === 0) throw new DataError(`${file}: expected at least one prompt but received none`);
  } catch (cause) {
    if (!(cause instanceof DataError)) throw cause;
    throw new ConfigError(`--prompts: ${cause.message}`, { cause });
  }
  return prompts;
}

async function* readLines(file: string): AsyncGenerator<FileRecord> {
  const compression = knownFormat(file)?.compression ?? "none";
  const chunks = checkUtf8(decompress(readBytes(file, file, "text"), compression, file), file);
  for await (const lines of splitLines(chunks, file)) {
    for (const { bytes, where } of lines) {
      const line = bytes.toString("utf8").replace(/\r$/, "");
      if (line.trim() !== "") yield { value: line, where: place(file, where) };
    }
  }
}

function promptOf({ value, where }: FileRecord): FilePrompt {
  if (typeof value === "string") return { prompt: value, where };
  const expected = `a string or an object with a string "prompt"`;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new DataError(`${where}: expected ${expected} but received ${describe(value)}`);
  }
  const { prompt } = value as { prompt?: unknown };
  if (typeof prompt === "string") return { prompt, where };
  throw new DataError(`${where}: prompt: expected a string but received ${show(prompt)}`);
}
