/** Formats and compressions, by a file's name. */
import { basename, extname } from "node:path";
import { DataError } from "../../errors.js";

export type Format = "text" | "jsonl" | "json" | "csv" | "parquet" | "arrow";
export type Compression = "none" | "gzip" | "zstd" | "xz" | "bzip2";

const COMPRESSIONS: Readonly<Record<string, Compression>> = {
  ".gz": "gzip",
  ".zst": "zstd",
  ".xz": "xz",
  ".bz2": "bzip2",
};
const FORMATS: Readonly<Record<string, Format>> = {
  ".txt": "text",
  ".md": "text",
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ".json": "json",
  ".csv": "csv",
  ".parquet": "parquet",
  ".arrow": "arrow",
};

const SUPPORTED =
  ".txt, .md, .jsonl, .ndjson, .json, .csv, .parquet, .arrow (each also with .gz, .zst, .xz or .bz2), or no extension " +
  "(plain text)";

/** The format and compression of a file, by its name. Throws DataError for an unsupported name. */
export function sourceFormat(file: string): { format: Format; compression: Compression } {
  const known = knownFormat(file);
  if (known !== undefined) return known;
  const { inner, outer } = extensions(file);
  if (inner === "" && outer !== "") return { format: "text", compression: COMPRESSIONS[outer]! };
  if (inner === "") return { format: "text", compression: "none" };
  throw new DataError(`${file}: expected a name that ends in ${SUPPORTED}, but received ${inner}${outer}`);
}

/** Like `sourceFormat`, but undefined for a name that does not say its format. */
export function knownFormat(file: string): { format: Format; compression: Compression } | undefined {
  const { inner, outer } = extensions(file);
  const format = FORMATS[inner];
  return format === undefined ? undefined : { format, compression: COMPRESSIONS[outer] ?? "none" };
}

/** The two last extensions of a name; `outer` is one of a compression, or empty. */
export function extensions(file: string): { inner: string; outer: string } {
  const name = basename(file).toLowerCase();
  const last = extname(name);
  if (COMPRESSIONS[last] === undefined) return { inner: last, outer: "" };
  return { inner: extname(name.slice(0, -last.length)), outer: last };
}

/** What the extensions that are read are, for a message. */
export function supportedNames(): string {
  return SUPPORTED;
}
