import { closeSync, openSync, readSync, writeSync } from "node:fs";

/** Flips a bit of a file, counted from its first. */
export function flipBit(path: string, bit: number): void {
  const file = openSync(path, "r+");
  const byte = new Uint8Array(1);
  const position = Math.floor(bit / 8);
  readSync(file, byte, 0, 1, position);
  byte[0]! ^= 1 << (bit % 8);
  writeSync(file, byte, 0, 1, position);
  closeSync(file);
}
