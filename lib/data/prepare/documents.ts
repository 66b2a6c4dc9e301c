/** The documents of a preparation, each with the split that it belongs to. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { SourceInfo } from "../dataset_info.js";
import type { SourceText } from "../encode/pieces.js";
import { keepSource, type PassedOver, readDocuments, type Source } from "../sources.js";
import type { SplitName } from "../split.js";
import { Duplicates } from "./duplicates.js";
import { isHeldOut } from "./held_out.js";
import type { CheckedOptions, PrepareProgress } from "./options.js";

/** The phases that read documents. */
type ReadingPhase = Exclude<PrepareProgress["phase"], "merges">;

/** The documents of sources: those of training first, then those of separate validation files. */
export class Documents {
  readonly #options: CheckedOptions;
  /** Each with the split that its documents are in, `train` if some may be held out. */
  readonly #inputs: { source: Source; readonly split: SplitName }[];
  readonly #notes = new Set<string>();
  readonly #duplicates = new Duplicates();
  /** Documents of validation files, which are compared first. */
  #firstTrained = 0;
  /** Bytes of all source files; Infinity if a pipe is among them. */
  readonly totalBytes: number;
  /** What was read of each source in the last phase. */
  readonly sources: readonly SourceInfo[];
  readonly passedOver = { null: 0, empty: 0 };
  /** Tokens written so far, for the progress. */
  tokens = 0;

  /** The positions of the sources that are read. */
  readonly #own: readonly number[];

  /** @param own the first of the sources that are read, and the one behind the last; default: all */
  constructor(
    options: CheckedOptions,
    train: readonly Source[],
    val: readonly Source[],
    own: readonly [begin: number, end: number] = [0, train.length + val.length],
  ) {
    this.#options = options;
    this.#inputs = [
      ...train.map((source) => ({ source, split: "train" as const })),
      ...val.map((source) => ({ source, split: "val" as const })),
    ];
    this.sources = this.#inputs.map(({ source: { file, bytes }, split }) => ({
      file,
      bytes,
      documents: 0,
      ...(split === "val" ? { split } : {}),
    }));
    this.#own = [...this.#inputs.keys()].slice(...own);
    const all = [...train, ...val].slice(...own);
    this.totalBytes = all.every(({ isFile }) => isFile)
      ? all.reduce((sum, { bytes }) => sum + bytes, 0)
      : Number.POSITIVE_INFINITY;
  }

  /** Documents that are left out because another has their text. */
  get duplicates(): number {
    return this.#duplicates.count;
  }

  /** Makes it possible to read everything twice: what is in no file is copied to files in `folder`. */
  async keepPipes(folder: string): Promise<void> {
    for (const [i, input] of this.#inputs.entries()) {
      input.source = await keepSource(input.source, join(folder, `pipe-${i}`));
    }
  }

  /** Deletes the copies. */
  async dropPipes(): Promise<void> {
    for (const { source } of this.#inputs) if (source.path !== undefined) await rm(source.path);
  }

  /** Finds the documents that have another's text. */
  async compare(): Promise<void> {
    const splits = this.#inputs.map(({ split }) => split);
    const [val, train] = (["val", "train"] as const).map((split) =>
      [...splits.keys()].filter((i) => splits[i] === split),
    );
    const count = { documents: 0, bytes: 0 };
    for (const order of [val!, train!]) {
      this.#firstTrained = count.documents;
      for await (const text of this.#read("duplicates", order, count)) this.#duplicates.add(text);
      this.#duplicates.end();
    }
  }

  /** The documents, in order, without those that `compare` found. */
  async *texts(phase: ReadingPhase): AsyncGenerator<SourceText> {
    const { valFraction } = this.#options;
    const next = { train: this.#firstTrained, val: 0 };
    let kept = -1;
    let dropped = false;
    let split: SplitName = "train";
    for await (const text of this.#read(phase, this.#own, { documents: 0, bytes: 0 })) {
      if (text.first) {
        dropped = this.#duplicates.has(next[text.split]++);
        if (!dropped && text.split === "train") kept++;
        split = text.split === "train" && isHeldOut(kept, valFraction) ? "val" : text.split;
        if (!dropped && phase === "encode") this.sources[text.source]!.documents++;
      }
      if (!dropped) yield { ...text, split };
    }
  }

  /** Tells the progress that all has been encoded. */
  done(documents: number): void {
    const bytes = this.#own.reduce((sum, source) => sum + this.sources[source]!.bytes, 0);
    this.#options.onProgress?.({ phase: "encode", bytes, totalBytes: bytes, documents, tokens: this.tokens });
  }

  async *#read(
    phase: ReadingPhase,
    order: readonly number[],
    count: { documents: number; bytes: number },
  ): AsyncGenerator<SourceText> {
    const { onProgress, signal, textField, promptField } = this.#options;
    for (const source of order) {
      const { source: input, split } = this.#inputs[source]!;
      const onBytes = (bytes: number): void => {
        count.bytes += bytes;
        // A pipe does not say how much it will give.
        if (phase === "encode" && !input.isFile) this.sources[source]!.bytes += bytes;
        onProgress?.({ phase, totalBytes: this.totalBytes, tokens: this.tokens, ...count });
      };
      const onPassedOver = (reason: PassedOver): void => {
        if (phase === "encode") this.passedOver[reason]++;
      };
      const fields = { textField, promptField, path: input.path };
      const read = { ...fields, onPassedOver, onNote: (note: string) => this.#note(note) };
      const texts = input.given?.read(onBytes, onPassedOver) ?? readDocuments(input.file, onBytes, read);
      for await (const text of texts) {
        signal?.throwIfAborted();
        if (text.first) count.documents++;
        yield { ...text, source, file: input.file, split };
      }
    }
  }

  /** What is noted is the same each time. */
  #note(note: string): void {
    if (!this.#notes.has(note)) this.#options.onNote?.(note);
    this.#notes.add(note);
  }
}
