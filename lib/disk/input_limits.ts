/**
 * The most that an input may be, in one place. Each is far above what real files have, and low enough that what is
 * refused is refused in seconds and without much memory. docs/reliability.md has them as a table.
 */

const MEBIBYTE = 2 ** 20;

export const inputLimits = {
  /** Objects and lists inside one another, of any JSON. */
  jsonDepth: 500,
  /** Values of one JSON text: a tokenizer of a million merges has three million. */
  jsonValues: 10_000_000,
  /** Bytes of a run config. */
  config: MEBIBYTE / 2,
  /** Objects and lists inside one another, of a run config. */
  configDepth: 50,
  /** Values of a run config, each alias counted as what it stands for. */
  configValues: 200_000,
  /** Anchors, aliases and tags of a run config in YAML. */
  configAnchors: 100,
  /** Bytes of a JSON file of a few keys, such as config.json. */
  smallJson: 16 * MEBIBYTE,
  /** Bytes of any other JSON file but a tokenizer.json: dataset.json, an index of weights, the tables of a run. */
  json: 64 * MEBIBYTE,
  /** Bytes of a tokenizer's file: the largest that are published have 35 MiB. */
  tokenizer: 128 * MEBIBYTE,
  /** Bytes of the header of a safetensors file: the format's own limit. */
  safetensorsHeader: 100_000_000,
  /** Bytes of its `__metadata__`. */
  safetensorsMetadata: 8 * MEBIBYTE,
  /** Bytes of a line, a JSON value or a CSV record of training data. */
  record: 256 * MEBIBYTE,
  /** Compressed data may come to this many bytes, whatever it takes … */
  expandedBytes: 64 * MEBIBYTE,
  /** … and beyond that to so many times its own bytes. */
  expansion: 200,
} as const;

/** A number of bytes in the largest unit that fits: `512 KiB`. */
export function inBytes(bytes: number): string {
  if (bytes >= MEBIBYTE && bytes % MEBIBYTE === 0) return `${bytes / MEBIBYTE} MiB`;
  return bytes % 1024 === 0 && bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} bytes`;
}
