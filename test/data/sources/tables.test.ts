import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "@jest/globals";
import { readDocuments } from "../../../lib/data/sources.js";
import { temporaryFolder } from "../../support/temporary.js";
import { cut, fixture, flipBits, read, TEXTS } from "./reading.js";

const path = temporaryFolder();

const PARQUET = ["none", "snappy", "gzip", "zstd", "lz4", "brotli", "v2"].map((name) => `${name}.parquet`);
const ARROW = ["plain", "lz4", "zstd", "dictionary", "views"].flatMap((name) => [
  `${name}_stream.arrow`,
  `${name}_file.arrow`,
]);

describe("Parquet and Arrow", () => {
  it.each([...PARQUET, "no_crc.parquet", ...ARROW, "legacy.arrow", "types_stream.arrow"])(
    "%s: one document a row",
    async (name) => {
      const { texts, passedOver, bytes } = await read(fixture(name));
      expect(texts).toEqual(TEXTS);
      expect(passedOver).toEqual({ null: 6, empty: 6 });
      expect(bytes).toBeCloseTo(readFileSync(fixture(name)).length);
    },
  );

  it.each(["snappy.parquet", "v2.parquet", "plain_stream.arrow", "zstd_file.arrow"])(
    "%s: a column inside another",
    async (name) => {
      const { texts, passedOver } = await read(fixture(name), { textField: "meta.body" });
      expect(texts).toEqual(TEXTS.filter((text) => text !== "again"));
      expect(passedOver).toEqual({ null: 24, empty: 6 });
    },
  );

  it.each(PARQUET)("%s: a flipped bit never changes a text", async (name) => {
    const { changed, refused } = await flipBits(name, 60, path);
    expect(changed).toEqual([]);
    expect(refused).toBeGreaterThan(2);
  });

  it("name the row group and the page that is damaged", async () => {
    const bytes = readFileSync(fixture("none.parquet"));
    // In the column's dictionary: what its header says of the values begins otherwise.
    bytes[bytes.indexOf("third 😀")]! ^= 1;
    writeFileSync(path("a.parquet"), bytes);
    await expect(read(path("a.parquet"))).rejects.toThrow(
      /a\.parquet: row group 1 of 3: expected a Parquet file but received damaged data: page at byte \d+: its CRC does/,
    );
  });

  it.each([...PARQUET, ...ARROW])("%s: a file that is cut short is refused", async (name) => {
    const { changed, refused } = await cut(name, 8, path);
    expect({ changed, refused }).toEqual({ changed: [], refused: 8 });
  });

  it("tell rows that are not UTF-8, and columns that are not text", async () => {
    for (const name of ["latin1.parquet", "latin1_stream.arrow"]) {
      await expect(read(fixture(name))).rejects.toThrow(
        /: row 2: expected UTF-8 text but received an invalid sequence at byte 0 of it$/,
      );
    }
    await expect(read(fixture("lists.parquet"))).rejects.toThrow(
      /lists\.parquet: column "text": expected strings but received a list$/,
    );
    await expect(read(fixture("numbers.parquet"))).rejects.toThrow(
      /numbers\.parquet: column "text": expected strings but received values of type INT64$/,
    );
    for (const name of ["v2.parquet", "plain_file.arrow"]) {
      await expect(read(fixture(name), { textField: "id" })).rejects.toThrow(/column "id": expected strings but/);
      await expect(read(fixture(name), { textField: "words" })).rejects.toThrow(
        /: expected a field "words" but received the columns id, vector, text, meta; .*--text-field$/,
      );
    }
  });

  it("are named where they are something else", async () => {
    writeFileSync(path("a.parquet"), gzipSync("words"));
    await expect(read(path("a.parquet"))).rejects.toThrow(
      /a\.parquet: expected a Parquet file but received gzip data: /,
    );
    writeFileSync(path("a.arrow"), "nothing of the kind");
    await expect(read(path("a.arrow"))).rejects.toThrow(/a\.arrow: expected an Arrow file but received damaged data: /);
  });

  it("are damaged where a page's header has a length below zero", async () => {
    const problem =
      /row group 1 of 3: expected a Parquet file but received damaged data: page at byte 342: a damaged page header$/;
    await expect(read(fixture("header_length.parquet"))).rejects.toThrow(problem);
  });

  it("are damaged where they count more buffers of views than there are", async () => {
    const problem =
      /message 3: expected an Arrow file but received damaged data: a buffer that is not in its record batch$/;
    await expect(read(fixture("views_count.arrow"))).rejects.toThrow(problem);
  });

  it("say where each row is", async () => {
    const rows: (number | undefined)[] = [];
    for await (const { where } of readDocuments(fixture("v2.parquet"))) rows.push(where.row);
    expect(rows.slice(0, 4)).toEqual([1, 3, 5, 6]);
  });

  it.each(["plain_file.arrow", "none.parquet", "v2.parquet"])("may be compressed as a whole: %s", async (name) => {
    const compressed = gzipSync(readFileSync(fixture(name)));
    writeFileSync(path(`${name}.gz`), compressed);
    const { texts, bytes } = await read(path(`${name}.gz`));
    expect(texts).toEqual(TEXTS);
    expect(bytes).toBe(compressed.length);
  });

  it("are told to be damaged where they are compressed as a whole", async () => {
    writeFileSync(path("a.parquet.gz"), gzipSync("words"));
    await expect(read(path("a.parquet.gz"))).rejects.toThrow(/a\.parquet\.gz: expected a Parquet file but received/);
    writeFileSync(path("a.parquet.gz"), gzipSync(readFileSync(fixture("v2.parquet"))).subarray(0, 999));
    await expect(read(path("a.parquet.gz"))).rejects.toThrow(/: expected gzip data but received damaged data: /);
  });
});
