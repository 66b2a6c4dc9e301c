/** A thread that counts the words of chunks. */
import { parentPort, workerData } from "node:worker_threads";
import { countTexts, type Splitting, type TextChunk } from "./count_texts.js";
import { WordCounts } from "./word_counts.js";

const splitting = workerData as Splitting;
const words = new WordCounts();

parentPort!.on("message", (chunk: TextChunk) => {
  countTexts(chunk, splitting, words);
  const counted = words.take();
  parentPort!.postMessage(counted, [counted.bytes.buffer, counted.ends.buffer, counted.counts.buffer]);
});
