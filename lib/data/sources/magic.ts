/** What data is, by how it begins: for messages about data that is not what a file's name says. */

const KINDS: readonly [string, string][] = [
  ["1f8b08", "gzip data"],
  ["28b52ffd", "zstd data"],
  ["fd377a585a00", "xz data"],
  ["425a68", "bzip2 data"],
  ["504b0304", "a zip archive"],
  ["50415231", "a Parquet file"],
  ["4152524f5731", "an Arrow file"],
  ["ffffffff", "an Arrow stream"],
  ["25504446", "a PDF"],
  ["894844460d0a1a0a", "an HDF5 file"],
  ["fffe", "UTF-16 text"],
  ["feff", "UTF-16 text"],
];

const POINTER = /^version https:\/\/git-lfs\.github\.com\/spec\/v\d+\n(.*\n)*?oid sha256:/;

/** Names data by its first bytes; undefined where they say nothing. */
export function kindOf(start: Uint8Array): string | undefined {
  const hex = Buffer.from(start.subarray(0, 8)).toString("hex");
  return KINDS.find(([magic]) => hex.startsWith(magic))?.[1];
}

/** Whether a file that begins like this is Git LFS's stand-in for another. */
export function isLfsPointer(start: Uint8Array): boolean {
  return start[0] === 0x76 && POINTER.test(Buffer.from(start.subarray(0, 1024)).toString("latin1"));
}
