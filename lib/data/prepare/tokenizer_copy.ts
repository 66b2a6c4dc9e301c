/** The tokenizer's files in a folder that is being filled. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readCompanion, TOKENIZER_COMPANIONS, TOKENIZER_JSON } from "../tokenizer_files.js";

/**
 * Writes a tokenizer.json, and copies what belongs to it.
 * @param source the tokenizer.json that it is of; undefined: it is new
 */
export async function writeTokenizer(folder: string, json: string, source: string | undefined): Promise<void> {
  await writeFile(join(folder, TOKENIZER_JSON), json, { flush: true });
  if (source === undefined) return;
  for (const name of TOKENIZER_COMPANIONS) {
    const content = await readCompanion(source, name);
    if (content !== null) await writeFile(join(folder, name), content, { flush: true });
  }
}
