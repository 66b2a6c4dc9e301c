/** `metrics.jsonl`: one JSON object per training step, one per line. */
import { show } from "../arguments.js";
import { openFile } from "../disk/read_text.js";
import { DataError, unusable } from "../errors.js";
import { lastLine, readLines } from "./metrics_file.js";

/**
 * Seconds of training by part: waiting for data; the parts of the model, forward and backward (embedding; layers and
 * norms; head and loss; the optimizer with clipping and zeroing); of several ranks, waiting for what they exchange, of
 * the first one, which writes the metrics; and the rest, in which the device was idle.
 */
export interface TimeByPart {
  readonly data: number;
  readonly embedding: number;
  readonly transformer: number;
  readonly head: number;
  readonly optimizer: number;
  readonly communication?: number;
  readonly idle: number;
}

/** Which of several ranks computed longest in a step. */
export interface SlowestRank {
  readonly rank: number;
  /** Seconds that it computed longer than the others did on average. */
  readonly behind: number;
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
  /** Labels that the step's loss is a mean over, if the data has a loss mask; 0: none counted, and the loss is 0. */
  readonly labels?: number;
  /** Seconds of training so far. */
  readonly seconds: number;
  /** Tokens per second of this step. */
  readonly tokensPerSecond: number;
  /** Floating-point operations of the model so far. */
  readonly flops: number;
  /** Those of the optimizer's matrix products, which `flops` and `mfu` leave out; absent with AdamW, which has none. */
  readonly optimizerFlops?: number;
  /** FLOP/s of this step as a fraction of the device's peak; null if the peak is unknown. */
  readonly mfu: number | null;
  /** Joules of training so far, if the device counts them. */
  readonly energy?: number;
  /** Updates that were skipped so far, if any was. */
  readonly skipped?: number;
  /** Bytes in use, by the device and by the process, in one step of sixteen. */
  readonly memory?: { readonly device: number; readonly process: number };
  /** Where the seconds went so far. */
  readonly time?: TimeByPart;
  /** Of several ranks, the one that the others waited for in this step. */
  readonly slowest?: SlowestRank;
  /** Token-level loss on held-out data after the step, nats per token, if it was evaluated. */
  readonly valLoss?: number;
  /** The same in bits per byte of text, if the held-out data's dataset.json says how many bytes it has. */
  readonly valBitsPerByte?: number;
}

/**
 * Reads a metrics file, or the lines of it that are wanted. A half-written last line is left out; null for a loss or a
 * norm (JSON has no NaN) becomes NaN again.
 * @throws DataError naming the file if it cannot be read, and the line if any other is not a metrics line
 */
export async function readMetrics(
  path: string,
  wanted: (line: MetricsLine) => boolean = () => true,
): Promise<MetricsLine[]> {
  const found: MetricsLine[] = [];
  let number = 0;
  try {
    for await (const lines of readLines(path, 0, Number.POSITIVE_INFINITY)) {
      for (const { text } of lines) {
        const line = parseLine(text, `${path}:${++number}`);
        if (wanted(line)) found.push(line);
      }
    }
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(`${path}: expected a metrics file but received ${unusable(cause)}`, { cause });
  }
  return found;
}

/** The last complete line of a metrics file; null: it has none, or that is damaged. @throws DataError as `readMetrics` */
export async function lastMetrics(path: string): Promise<MetricsLine | null> {
  try {
    const file = await openFile(path);
    try {
      const last = await lastLine(file, (await file.stat()).size);
      return last && tryParse(last.text);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new DataError(`${path}: expected a metrics file but received ${unusable(cause)}`, { cause });
  }
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

/** A line, if it is a metrics line. */
export function tryParse(text: string): MetricsLine | null {
  try {
    return parseLine(text, "");
  } catch {
    return null;
  }
}

function parseLine(text: string, where: string): MetricsLine {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DataError(`${where}: expected a JSON object but received ${show(text)}`, {
      cause,
    });
  }
  return metricsFrom(value, where);
}

/** @throws DataError for a value that `JSON.stringify` does not make of a metrics line */
export function metricsFrom(value: unknown, where: string): MetricsLine {
  for (const key of keys) {
    const found = (value as Record<string, unknown> | null)?.[key];
    if (typeof found === "number" || (found === null && mayDiverge.includes(key))) continue;
    throw new DataError(`${where}: ${key}: expected a number but received ${show(found)}`);
  }
  const line = value as MetricsLine;
  const valLoss = line.valLoss === null ? { valLoss: Number.NaN } : {};
  const valBitsPerByte = line.valBitsPerByte === null ? { valBitsPerByte: Number.NaN } : {};
  const { loss, gradNorm } = line;
  return { ...line, loss: loss ?? Number.NaN, gradNorm: gradNorm ?? Number.NaN, ...valLoss, ...valBitsPerByte };
}
