/** Files to read, from what a user names: files, folders, patterns, standard input. */
import { open, stat } from "node:fs/promises";
import { extname, isAbsolute, relative, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { glob, isDynamicPattern } from "tinyglobby";
import { DataError, unusable } from "../../errors.js";
import { readBytes, refuseStandIn, STANDARD_INPUT } from "./bytes.js";
import { walkFolder } from "./folder.js";
import { extensions, knownFormat, sourceFormat, supportedNames } from "./formats.js";
import type { GivenTexts } from "./given.js";

/** A file or pipe to read. */
export interface Source {
  /** Its name, as in messages. */
  readonly file: string;
  /** Its size; 0 of a pipe, which does not say. */
  readonly bytes: number;
  /** Whether it can be read twice. A pipe cannot. */
  readonly isFile: boolean;
  /** Where its bytes are, if they are not at its name. */
  readonly path?: string;
  /** Documents that are in no file. */
  readonly given?: GivenTexts;
}

/** What `findSources` found. */
export interface FoundSources {
  readonly sources: readonly Source[];
  /** What was chosen among the files, to be shown. */
  readonly notes: readonly string[];
}

/** Files whose facts are asked for at a time. */
const AT_ONCE = 64;

/** A pointer of Git LFS is not larger. */
const POINTER = 1024;

/**
 * Finds the files that `names` stand for, in their order: a file; a folder, for the files in and below it whose names
 * say a format, sorted by path; a pattern such as `**\/*.jsonl`, likewise; `-` for standard input. Throws DataError for
 * a name that stands for nothing that can be read, or for a file that comes twice.
 */
export async function findSources(names: readonly string[]): Promise<FoundSources> {
  const notes: string[] = [];
  const files: string[] = [];
  for (const name of names) files.push(...(await filesOf(name, notes)));
  refuseTwice(files);
  const sources: Source[] = [];
  const seen = new Map<string, string>();
  for (let from = 0; from < files.length; from += AT_ONCE) {
    const facts = await Promise.all(files.slice(from, from + AT_ONCE).map(sourceFacts));
    for (const { source, identity } of facts) {
      sources.push(source);
      const other = identity === undefined ? undefined : seen.get(identity);
      if (other !== undefined) notes.push(`${source.file}: the same file as ${other}, read once more`);
      else if (identity !== undefined) seen.set(identity, source.file);
    }
  }
  return { sources, notes };
}

/** A source that can be read twice: a pipe's bytes, or documents that are in no file, are copied to `path`. */
export async function keepSource(source: Source, path: string): Promise<Source> {
  if (source.isFile) return source;
  if (source.given !== undefined) {
    await source.given.keep(path);
    return { ...source, path };
  }
  const copy = await open(path, "w");
  await pipeline(readBytes(source.file, source.file, "text"), copy.createWriteStream());
  return { ...source, path, bytes: (await stat(path)).size };
}

async function filesOf(name: string, notes: string[]): Promise<string[]> {
  if (name === STANDARD_INPUT) return [name];
  const facts = await stat(name).catch(() => undefined);
  if (facts?.isDirectory()) {
    const { files, others } = await walkFolder(name);
    return chosen(name, files, others, notes);
  }
  if (facts !== undefined || !isDynamicPattern(name)) return [name];
  const found = await glob(name, { onlyFiles: true, expandDirectories: false });
  if (found.length === 0) throw new DataError(`${name}: expected a pattern that files match but received one of none`);
  const matched = found.map((file) => (isAbsolute(name) ? resolve(file) : file)).sort();
  const isRead = (file: string): boolean => knownFormat(file) !== undefined || extensions(file).inner === "";
  return chosen(
    name,
    matched.filter(isRead),
    matched.filter((file) => !isRead(file)),
    notes,
  );
}

/** Says which files of a folder or pattern are read, and which are not. */
function chosen(name: string, files: string[], others: string[], notes: string[]): string[] {
  if (files.length === 0) {
    const received = others.length === 0 ? "none" : `${others.length} others`;
    throw new DataError(`${name}: expected files with names that end in ${supportedNames()}, but received ${received}`);
  }
  const counts = new Map<string, number>();
  for (const file of files) {
    const { inner, outer } = extensions(file);
    const type = `${inner}${outer}` || "no extension";
    counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  const types = [...counts].map(([type, count]) => `${count} ${type}`).join(", ");
  const shown = others.slice(0, 3).map((file) => relative(".", file) || file);
  const more = others.length > 3 ? ", …" : "";
  const rest = others.length === 0 ? "" : `; passing over ${others.length} (${shown.join(", ")}${more})`;
  notes.push(`${name}: reading ${types}${rest}`);
  return files;
}

function refuseTwice(files: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const file of files) {
    const path = file === STANDARD_INPUT ? file : resolve(file);
    const other = seen.get(path);
    if (other !== undefined) {
      const also = other === file ? "" : `, also as ${other}`;
      throw new DataError(`${file}: expected each file once but received it twice${also}`);
    }
    seen.set(path, file);
  }
}

async function sourceFacts(file: string): Promise<{ source: Source; identity: string | undefined }> {
  if (file === STANDARD_INPUT) return { source: { file, bytes: 0, isFile: false }, identity: undefined };
  const facts = await stat(file).catch((cause: unknown) => {
    sourceFormat(file);
    throw new DataError(`${file}: expected text but received ${unusable(cause)}`, { cause });
  });
  if (facts.isFIFO() || facts.isCharacterDevice() || file.startsWith("/dev/")) {
    return { source: { file, bytes: 0, isFile: false }, identity: undefined };
  }
  if (!facts.isFile()) throw new DataError(`${file}: expected a file but received a socket or a device`);
  sourceFormat(file);
  if (facts.size <= POINTER) await refusePointer(file);
  return { source: { file, bytes: facts.size, isFile: true }, identity: `${facts.dev}:${facts.ino}` };
}

/** So that what was not downloaded is told at the start, not after the files before it. */
async function refusePointer(file: string): Promise<void> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(POINTER), 0, POINTER, 0);
    refuseStandIn(buffer.subarray(0, bytesRead), file, extname(file) === "" ? "text" : `${extname(file)} data`);
  } finally {
    await handle.close();
  }
}
