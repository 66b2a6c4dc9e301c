/** Data that comes from beginning to end, for what reads it in another order or more than once. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataError } from "../../errors.js";
import type { Texts } from "./texts.js";

/**
 * The texts of a copy of the data, a file in the system's folder for temporary files, which is deleted at the end.
 * @param bytes the data
 * @param file its name, for errors
 * @param read the texts of the copy
 * @throws DataError if there is no room for the copy, and what `bytes` and `read` throw
 */
export async function* spooled(bytes: AsyncIterable<Uint8Array>, file: string, read: (copy: string) => Texts): Texts {
  const refused = (cause: unknown): never => {
    if (cause instanceof DataError) throw cause;
    const reason = (cause as Error).message;
    throw new DataError(`${file}: expected room for its content in ${tmpdir()} (TMPDIR) but received: ${reason}`, {
      cause,
    });
  };
  const folder = await mkdtemp(join(tmpdir(), "nextpatch-")).catch(refused);
  try {
    const copy = join(folder, "content");
    await writeFile(copy, bytes).catch(refused);
    yield* read(copy);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
