/** Fuzzers of training data, read as `prepare` reads it. */
import type { FileFuzzer } from "./files.js";

export const sourceFuzzers: Readonly<Record<string, (folder: string) => FileFuzzer | Promise<FileFuzzer>>> = {};
