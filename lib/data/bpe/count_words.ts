/** Counts the words of documents, in threads. */
import type { TextPiece } from "../sources.js";
import { ThreadPool } from "../thread_pool.js";
import { ChunkWriter } from "./chunk_writer.js";
import { countTexts, type Splitting, type TextChunk } from "./count_texts.js";
import { type CountedWords, WordCounts } from "./word_counts.js";

/**
 * Counts every word of the documents. The result does not depend on the number of threads, and memory is that of the
 * distinct words and a few chunks.
 */
export async function countWords(
  pieces: AsyncIterable<TextPiece> | Iterable<TextPiece>,
  splitting: Splitting,
  threads: number,
  signal?: AbortSignal,
): Promise<WordCounts> {
  const words = new WordCounts();
  const script = new URL("./count_worker", import.meta.url);
  const pool = new ThreadPool<TextChunk, CountedWords>(script, splitting, threads);
  const running: Promise<void>[] = [];
  try {
    const chunks = new ChunkWriter();
    for await (const { text, first } of pieces) {
      signal?.throwIfAborted();
      for (const chunk of chunks.add(splitting.units === "characters" ? spaced(text, first) : text, first)) {
        const counted = pool.run(chunk, [chunk.bytes.buffer, chunk.ends.buffer]).then((counts) => words.addAll(counts));
        counted.catch(() => undefined); // awaited below, unless reading fails first
        running.push(counted);
        if (running.length > 2 * threads) await running.shift();
      }
    }
    // What does not fill a chunk is not worth a thread.
    countTexts(chunks.rest(), splitting, words);
    await Promise.all(running);
    signal?.throwIfAborted();
    return words;
  } finally {
    await pool.close();
  }
}

/** A text as `Metaspace` makes it, with blanks for its ▁: a document begins with one. */
function spaced(text: string, first: boolean): string {
  const blanks = text.replaceAll("\u2581", " ");
  return first && !blanks.startsWith(" ") ? ` ${blanks}` : blanks;
}
