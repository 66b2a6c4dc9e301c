import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { spooled } from "../../../lib/data/sources/spool.js";
import type { Texts } from "../../../lib/data/sources/texts.js";
import { DataError } from "../../../lib/errors.js";

/** Words, and then an error if one is given. */
async function* given(error?: Error): AsyncGenerator<Uint8Array> {
  yield Buffer.from("a b ");
  yield Buffer.from("c");
  if (error !== undefined) throw error;
}

const where = { byte: 0 };

/** Reads a copy; the first text is its path, the others its words. */
async function* words(copy: string): Texts {
  yield { text: copy, where };
  for (const text of readFileSync(copy, "utf8").split(" ")) yield { text, where };
}

async function textsOf(stream: AsyncIterable<Uint8Array>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of spooled(stream, "a.gz", words)) texts.push(text!);
  return texts;
}

describe("a copy of a stream", () => {
  it("holds what the stream has, and is gone at the end", async () => {
    const [copy, ...texts] = await textsOf(given());
    expect(texts).toEqual(["a", "b", "c"]);
    expect(existsSync(copy!)).toBe(false);
  });

  it("is gone where its reader stops before", async () => {
    let copy = "";
    for await (const { text } of spooled(given(), "a.gz", words)) {
      copy = text!;
      expect(existsSync(copy)).toBe(true);
      break;
    }
    expect(existsSync(copy)).toBe(false);
  });

  it("is not read where the stream fails", async () => {
    const damaged = new DataError("a.gz: damaged");
    await expect(textsOf(given(damaged))).rejects.toBe(damaged);
    const full = textsOf(given(new Error("no space left")));
    await expect(full).rejects.toThrow(
      /^a\.gz: expected room for its content in \S+ \(TMPDIR\) but received: no space left$/,
    );
  });
});
