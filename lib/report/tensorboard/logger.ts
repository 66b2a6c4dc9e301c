/** `logger: [tensorboard]`: a run's metrics as TensorBoard's event files, in the run's folder. */
import { type FileHandle, open } from "node:fs/promises";
import type { LoggedRun, Logger } from "../logger.js";
import type { MetricsLine } from "../metrics.js";
import { goOnFrom } from "./event_files.js";
import { scalarEvent, startEvent, versionEvent } from "./events.js";
import { record } from "./records.js";

export class TensorBoardLogger implements Logger {
  readonly name = "tensorboard";
  #file: FileHandle | null = null;

  async begin({ folder, step }: LoggedRun): Promise<void> {
    this.#file = await open(await goOnFrom(folder, step), "wx");
    await this.#file.appendFile(Buffer.concat([record(versionEvent()), record(startEvent(step + 1))]));
  }

  async step(line: MetricsLine): Promise<void> {
    await this.#file?.appendFile(record(scalarEvent(line.step, scalars(line))));
  }

  async end(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
  }
}

/** The values of a line by their tags, those that it has. */
function scalars(line: MetricsLine): Map<string, number> {
  const { memory } = line;
  const values: Readonly<Record<string, number | null | undefined>> = {
    "loss/training": line.loss,
    "loss/validation": line.valLoss,
    "loss/validation_bits_per_byte": line.valBitsPerByte,
    "optimizer/learning_rate": line.lr,
    "optimizer/gradient_norm": line.gradNorm,
    "speed/tokens_per_second": line.tokensPerSecond,
    "speed/mfu": line.mfu,
    "progress/tokens": line.tokens,
    "progress/flops": line.flops,
    "progress/patch_size": line.patchSize,
    "memory/device_bytes": memory?.device,
    "memory/process_bytes": memory?.process,
  };
  return new Map(Object.entries(values).flatMap(([tag, value]) => (value == null ? [] : [[tag, value] as const])));
}
