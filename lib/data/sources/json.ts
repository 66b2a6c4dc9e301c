/** JSON files: an array of records, or records one after another. */

import { type JsonValue, ValueSplitter } from "./json_splitter.js";
import { parseValue } from "./json_values.js";
import { place } from "./position.js";
import type { TextField } from "./text_field.js";
import type { Texts } from "./texts.js";
import { asBuffer } from "./utf8.js";

/**
 * The texts of a file that is an array of objects or strings, or holds one object or several after another. The values
 * are parsed one at a time, so that memory does not grow with the file.
 */
export async function* readJson(chunks: AsyncIterable<Uint8Array>, file: string, field: TextField): Texts {
  const splitter = new ValueSplitter(file);
  const record = ({ bytes, where, isElement }: JsonValue) => {
    const value = parseValue(bytes, where, file);
    const isText = isElement && !field.hasPrompt && (value === null || typeof value === "string");
    return { ...(isText ? { text: value } : field.of(value, place(file, where))), where };
  };
  for await (const chunk of chunks) for (const value of splitter.push(asBuffer(chunk))) yield record(value);
  for (const value of splitter.finish()) yield record(value);
}
