/** What the tests of sources read, and how. */
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { type ReadOptions, readDocuments } from "../../../lib/data/sources.js";

/** What reading a file gave. */
export interface Reading {
  readonly texts: string[];
  readonly passedOver: { null: number; empty: number };
  readonly notes: string[];
  readonly bytes: number;
}

/** Reads a file to its end. */
export async function read(file: string, options: ReadOptions = {}): Promise<Reading> {
  const texts: string[] = [];
  const notes: string[] = [];
  const passedOver = { null: 0, empty: 0 };
  let bytes = 0;
  const onBytes = (count: number): void => {
    bytes += count;
  };
  const watched: ReadOptions = {
    ...options,
    onPassedOver: (reason) => void passedOver[reason]++,
    onNote: (note) => void notes.push(note),
  };
  for await (const { text, first } of readDocuments(file, onBytes, watched)) {
    if (first) texts.push(text);
    else texts[texts.length - 1] += text;
  }
  return { texts, passedOver, notes, bytes };
}

/** A file that fixtures/make.sh made. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
}

/** The texts of the fixtures' tables. */
const ROWS: readonly (string | null)[] = new Array(6)
  .fill(["first é", null, "third 😀", "", "日本語 text ".repeat(20), "again", "again", "again"])
  .flat();

/** Those that are documents. */
export const TEXTS: readonly string[] = ROWS.filter((text): text is string => text !== null && text !== "");

/** The text of the compressed fixtures. */
export function words(): string {
  const found: string[] = [];
  for (let i = 0, state = 1; i < 6000; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    found.push(`w${Math.floor(state / 65536) % 3000}`);
  }
  return `${found.join(" ")}\n`;
}

/** What became of copies of a fixture with one bit flipped each, spread over the file, or of cut ones. */
export interface Damage {
  refused: number;
  unchanged: number;
  /** Copies that were read as something else, by the byte that was changed. */
  changed: number[];
  messages: string[];
}

/** Reads `count` copies of a fixture, each with another bit flipped; they are written to `copy`. */
export async function flipBits(name: string, count: number, copy: (name: string) => string): Promise<Damage> {
  const bytes = readFileSync(fixture(name));
  return damage(name, copy, count, (i) => {
    const bit = Math.floor(((i + 0.5) / count) * bytes.length * 8);
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    return { bytes: flipped, at: bit >> 3 };
  });
}

/** Reads `count` copies of a fixture, each cut at another place. */
export async function cut(name: string, count: number, copy: (name: string) => string): Promise<Damage> {
  const bytes = readFileSync(fixture(name));
  return damage(name, copy, count, (i) => {
    const at = i === 0 ? bytes.length - 1 : Math.floor((i / count) * bytes.length);
    return { bytes: bytes.subarray(0, at), at };
  });
}

async function damage(
  name: string,
  copy: (name: string) => string,
  count: number,
  make: (i: number) => { bytes: Uint8Array; at: number },
): Promise<Damage> {
  const whole = JSON.stringify(await read(fixture(name)).then(({ texts, passedOver }) => ({ texts, passedOver })));
  const found: Damage = { refused: 0, unchanged: 0, changed: [], messages: [] };
  const file = copy(basename(name));
  for (let i = 0; i < count; i++) {
    const { bytes, at } = make(i);
    writeFileSync(file, bytes);
    try {
      const { texts, passedOver } = await read(file);
      if (JSON.stringify({ texts, passedOver }) === whole) found.unchanged++;
      else found.changed.push(at);
    } catch (error) {
      if ((error as Error).name !== "DataError" || !(error as Error).message.startsWith(file)) throw error;
      found.refused++;
      found.messages.push((error as Error).message);
    }
  }
  return found;
}
