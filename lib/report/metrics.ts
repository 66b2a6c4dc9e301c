/** `metrics.jsonl`: one JSON object per training step, one per line. */
import { existsSync } from "node:fs";
import { type FileHandle, open, readFile, rename, writeFile } from "node:fs/promises";
import { show } from "../arguments.js";
import { DataError, unusable } from "../errors.js";

/**
 * Seconds of training by part: waiting for data; the parts of the model, forward and backward (embedding; layers and
 * norms; head and loss; AdamW with clipping and zeroing); and the rest, in which the device was idle.
 */
export interface TimeByPart {
  readonly data: number;
  readonly embedding: number;
  readonly transformer: number;
  readonly head: number;
  readonly optimizer: number;
  readonly idle: number;
}

/** One training step. Counts and times are cumulative over the run, without evaluation and checkpoints. */
export interface MetricsLine {
  /** The run's step, from 1: how many updates are done. */
  readonly step: number;
  /** Index of the stage, from 0. */
  readonly stage: number;
  /** K of the stage. */
  readonly patchSize: number;
  /** Tokens of text trained on so far. */
  readonly tokens: number;
  /** Positions the transformer has computed so far: tokens / K, summed over the stages. */
  readonly positions: number;
  /** Loss of the stage's objective, nats per token, before the step's update; NaN if it diverged. */
  readonly loss: number;
  /** Learning rate of the step. */
  readonly lr: number;
  /** Global norm of the gradients before clipping; NaN if it diverged. */
  readonly gradNorm: number;
  /** Seconds of training so far. */
  readonly seconds: number;
  /** Tokens per second of this step. */
  readonly tokensPerSecond: number;
  /** Floating-point operations so far. */
  readonly flops: number;
  /** FLOP/s of this step as a fraction of the device's peak; null if the peak is unknown. */
  readonly mfu: number | null;
  /** Joules of training so far, if the device counts them. */
  readonly energy?: number;
  /** Updates that were skipped so far, if any was. */
  readonly skipped?: number;
  /** Where the seconds went so far. */
  readonly time?: TimeByPart;
  /** Token-level loss on held-out data after the step, nats per token, if it was evaluated. */
  readonly valLoss?: number;
  /** The same in bits per byte of text, if the held-out data's dataset.json says how many bytes it has. */
  readonly valBitsPerByte?: number;
}

/** Appends lines to a metrics file. Each has been passed to the operating system when `append` resolves. */
export class MetricsWriter {
  private constructor(private readonly handle: FileHandle) {}

  /**
   * Opens `path` to append to it, or creates it.
   * @param options.resumeAfter keep only the lines up to this step: a run resumed from its checkpoint writes the later
   *   ones again; 0 for a new run
   */
  static async open(path: string, options: { resumeAfter: number }): Promise<MetricsWriter> {
    await truncateMetrics(path, options.resumeAfter);
    return new MetricsWriter(await open(path, "a"));
  }

  /** Writes one complete line. */
  async append(line: MetricsLine): Promise<void> {
    await this.handle.appendFile(`${JSON.stringify(line)}\n`);
  }

  /** Syncs the file to the disk and closes it. */
  async close(): Promise<void> {
    await this.handle.sync();
    await this.handle.close();
  }
}

/**
 * Reads a metrics file. A half-written last line is left out; null for a loss or a norm (JSON has no NaN) becomes NaN
 * again.
 * @throws DataError naming the file if it cannot be read, and the line if any other is not a metrics line
 */
export async function readMetrics(path: string): Promise<MetricsLine[]> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new DataError(`${path}: expected a metrics file but received ${unusable(cause)}`, { cause });
  });
  const lines = text.split("\n");
  // After the last line break there is a half-written line, or nothing.
  return lines.slice(0, -1).map((text, index) => parseLine(text, `${path}:${index + 1}`));
}

/** Drops the lines after `lastStep`, and a half-written one. A missing file counts as empty. */
async function truncateMetrics(path: string, lastStep: number): Promise<void> {
  const lines = existsSync(path) ? await readMetrics(path) : [];
  const kept = lines.filter(({ step }) => step <= lastStep).map((line) => `${JSON.stringify(line)}\n`);
  // Written under a temporary name and renamed, so that a crash here loses no line.
  const aside = `${path}.part`;
  await writeFile(aside, kept.join(""), { flush: true });
  await rename(aside, path);
}

const keys = [
  "step",
  "stage",
  "patchSize",
  "tokens",
  "positions",
  "loss",
  "lr",
  "gradNorm",
  "seconds",
  "tokensPerSecond",
  "flops",
] as const satisfies readonly (keyof MetricsLine)[];
const mayDiverge: readonly string[] = ["loss", "gradNorm"];

function parseLine(text: string, where: string): MetricsLine {
  let value: Record<string, unknown> | null;
  try {
    value = JSON.parse(text) as Record<string, unknown> | null;
  } catch (cause) {
    throw new DataError(`${where}: expected a JSON object but received ${show(text)}`, {
      cause,
    });
  }
  for (const key of keys) {
    const found = value?.[key];
    if (typeof found === "number" || (found === null && mayDiverge.includes(key))) continue;
    throw new DataError(`${where}: ${key}: expected a number but received ${show(found)}`);
  }
  const line = value as unknown as MetricsLine;
  const valLoss = line.valLoss === null ? { valLoss: Number.NaN } : {};
  const valBitsPerByte = line.valBitsPerByte === null ? { valBitsPerByte: Number.NaN } : {};
  const { loss, gradNorm } = line;
  return { ...line, loss: loss ?? Number.NaN, gradNorm: gradNorm ?? Number.NaN, ...valLoss, ...valBitsPerByte };
}
