/** Trains a byte-level BPE tokenizer (as GPT-2's) of any size up to 30000. */
import { spawn } from "node:child_process";
import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Arguments } from "../arguments.js";
import { DataError, unusable } from "../errors.js";
import { END_OF_TEXT_NAMES, loadTokenizers } from "./tokenizer.js";

/** The end-of-text token and the 256 bytes: a tokenizer without a single merge. */
export const MIN_TRAINED_VOCAB = 257;

/** The size that `tokenizers` trains in Node: its `train` takes no options and aims at 30000 tokens. */
export const MAX_TRAINED_VOCAB = 30_000;

/**
 * Trains in a separate process: the native call writes blank lines to stdout, which is for the command's result, and
 * blocks its thread until it is done.
 */
const TRAIN_SCRIPT = `
const { Tokenizer, BPE, byteLevelPreTokenizer } = require(process.argv[2]);
const { files, out } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const tokenizer = new Tokenizer(BPE.empty());
tokenizer.setPreTokenizer(byteLevelPreTokenizer(false, true));
tokenizer.train(files);
tokenizer.save(out);
`;

const BYTE_LEVEL = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };

/**
 * Learns a byte-level BPE of `vocabSize` tokens from UTF-8 text files and returns its tokenizer.json.
 *
 * Ids: 0 is `<|endoftext|>`, 1 to 256 are the bytes in GPT-2's order, the merges follow in the order learned. BPE is
 * greedy, so the first merges of a longer training are the shorter training. The same files give the same tokenizer.
 *
 * @throws TypeError or RangeError for a size outside 257..30000
 * @throws DataError for a corpus too small to give that many tokens
 */
export async function trainTokenizer(
  files: readonly string[],
  vocabSize: number,
  signal?: AbortSignal,
): Promise<string> {
  checkTrainedVocab(new Arguments("trainTokenizer"), "vocabSize", vocabSize);
  for (const file of files) {
    await access(file).catch((cause: unknown) => {
      throw new DataError(`${file}: expected text but received ${unusable(cause)}`, { cause });
    });
  }
  const { byteLevelAlphabet } = await loadTokenizers();
  const merges = await learnMerges(files, signal);
  const endOfText = END_OF_TEXT_NAMES[0]!;
  const vocab = new Map([[endOfText, 0]]);
  for (const byte of byteLevelAlphabet().sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!)) {
    vocab.set(byte, vocab.size);
  }
  const kept: [string, string][] = [];
  for (const [left, right] of merges) {
    if (vocab.size === vocabSize) break;
    kept.push([left, right]);
    // Two merges may spell the same token; it keeps its first id.
    if (!vocab.has(left + right)) vocab.set(left + right, vocab.size);
  }
  if (vocab.size < vocabSize) {
    throw new DataError(
      `${files.join(", ")}: expected text enough for a vocabulary of ${vocabSize} ` +
        `but received text that gives ${kept.length} merges, a vocabulary of ${vocab.size}`,
    );
  }
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [
      { id: 0, content: endOfText, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
    ],
    normalizer: null,
    pre_tokenizer: BYTE_LEVEL,
    post_processor: null,
    decoder: BYTE_LEVEL,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocab),
      merges: kept,
    },
  });
}

/** Checks the size of a vocabulary to train: end-of-text, 256 bytes, merges. */
export function checkTrainedVocab(check: Arguments, name: string, vocabSize: number): void {
  check.wholeNumber(name, vocabSize, MIN_TRAINED_VOCAB, MAX_TRAINED_VOCAB);
}

async function learnMerges(files: readonly string[], signal?: AbortSignal): Promise<[string, string][]> {
  const folder = await mkdtemp(join(tmpdir(), "nextpatch-bpe-"));
  try {
    const out = join(folder, "trained.json");
    // A file, not `-e`: not every engine that runs Node's programs takes code that is CommonJS as an argument.
    const script = join(folder, "train.cjs");
    await writeFile(script, TRAIN_SCRIPT);
    await runTrainer(script, JSON.stringify({ files, out }), signal);
    const trained = JSON.parse(await readFile(out, "utf8")) as { model: { merges: [string, string][] } };
    return trained.model.merges;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function runTrainer(script: string, input: string, signal?: AbortSignal): Promise<void> {
  const require = createRequire(import.meta.url);
  const child = spawn(process.execPath, [script, require.resolve("tokenizers")], {
    stdio: ["pipe", "ignore", "pipe"],
    env: { ...process.env, ELECTRON_RUN_AS_NODE: "1" }, // in Electron, execPath is an Electron that starts a program
    ...(signal === undefined ? {} : { signal }),
  });
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaints += text));
  child.stdin.on("error", () => undefined); // a child that died early is reported by its exit code
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", (error) => reject(signal?.aborted ? (signal.reason as Error) : error));
    child.on("close", resolve);
  });
  signal?.throwIfAborted();
  if (code !== 0) {
    const reason = /Error: (.*)/.exec(complaints)?.[1] ?? complaints.trim().split("\n").at(-1);
    throw new DataError(
      `tokenizer: expected the trainer's process to end with code 0 but received ${code}: ${reason || "no reason"}`,
    );
  }
}
