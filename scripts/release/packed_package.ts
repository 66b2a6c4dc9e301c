/** A tarball of the release, and what is wrong with it. */
export interface PackedPackage {
  readonly name: string;
  readonly version: string;
  readonly tarball: string;
  readonly packedBytes: number;
  readonly unpackedBytes: number;
  /** The newest glibc whose symbols its libraries use; null: it has none. */
  readonly glibc: string | null;
  readonly builtFrom: string;
  /** A sentence each; empty: it can be published. */
  readonly problems: readonly string[];
}

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;

export const checkSize = (bytes: number, most: number): string[] =>
  bytes < most ? [] : [`expected a tarball of less than ${megabytes(most)} but received ${megabytes(bytes)}`];

/** The newest of version numbers; null: of none. */
export const newest = (versions: readonly string[]): string | null =>
  [...versions].sort((a, b) => a.localeCompare(b, "en", { numeric: true })).at(-1) ?? null;
