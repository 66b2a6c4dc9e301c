/** Trains a vocabulary with the built package, for tokenizer.ts; its last line is JSON, as train_tokenizer.py's. */
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import bpe from "../dist/data/bpe.js";
import sources from "../dist/data/sources.js";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    vocab: { type: "string" },
    "split-digits": { type: "boolean", default: false },
    "byte-fallback": { type: "boolean", default: false },
    threads: { type: "string" },
  },
});
const training = {
  vocab: Number(flags.vocab),
  splitDigits: flags["split-digits"],
  byteFallback: flags["byte-fallback"],
};
const start = performance.now();
const json = await bpe.trainTokenizer(sources.readDocuments(positionals[0]), training, {
  threads: Number(flags.threads),
});
const seconds = (performance.now() - start) / 1000;
const merges = createHash("sha256");
merges.update(
  JSON.parse(json)
    .model.merges.map((pair) => pair.join(" "))
    .join("\n"),
);
const megabytes = process.resourceUsage().maxRSS / 1024;
process.stdout.write(`${JSON.stringify({ seconds, megabytes, merges: merges.digest("hex") })}\n`);
