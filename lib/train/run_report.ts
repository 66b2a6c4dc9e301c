/** The pages of a run: `report.html`, and `report.json` with what it shows beside the metrics. */
import type { RunConfig } from "../config/config.js";
import type { Device } from "../device.js";
import { writeText } from "../disk/durable.js";
import type { Llama } from "../nn/llama.js";
import type { RankPlace } from "../report/ranks_section.js";
import { renderReport } from "../report/report.js";
import type { RunFacts, Sample } from "../report/run_facts.js";
import { readEnvironment } from "./environment.js";
import { plannedBytes } from "./memory_plan.js";
import { readRemembered, withEnvironment, withSample } from "./remembered.js";
import type { RunData } from "./run_data.js";
import type { RunFolder } from "./run_folder.js";
import type { RunMetrics } from "./run_metrics.js";
import type { PlannedRun } from "./run_plan.js";
import type { RunRecord } from "./run_record.js";

/** What a report is of. */
interface Reported {
  readonly config: RunConfig;
  readonly model: Llama;
  readonly data: RunData;
  readonly planned: PlannedRun;
  /** Where each of the processes is that train together. */
  readonly places: readonly RankPlace[];
  /** The step that the run goes on from. */
  readonly step: number;
}

export class RunReport {
  #samples: readonly Sample[];

  private constructor(
    private readonly folder: RunFolder,
    private readonly metrics: RunMetrics,
    private readonly facts: Omit<RunFacts, "samples" | "memory">,
    samples: readonly Sample[],
    private readonly plannedBytes: number,
    private readonly device: Device,
    private readonly places: readonly RankPlace[],
  ) {
    this.#samples = samples;
  }

  /** The report of a run that begins or goes on. */
  static async open(
    { folder, metrics, notes, start }: RunRecord,
    { config, model, data, planned: { stages, heldOut, plan }, places, step }: Reported,
  ): Promise<RunReport> {
    const { device, parameterCount, parameters } = model;
    const before = await readRemembered(folder.facts, step);
    const environment = await readEnvironment(device, {
      precision: config.precision,
      ranks: places.length,
      trainTokens: data.trainingTokens,
      valTokens: data.val?.tokenCount ?? 0,
      productTable: start.productTable,
    });
    const facts = {
      config,
      stages,
      notes,
      parameters: parameterCount,
      device: `${device.backend} (${device.name}), ${parameters.dtype === "bf16" ? "bf16" : "fp32"}`,
      environments: withEnvironment(step === 0 ? [] : before.environments, environment),
      evaluated: heldOut && { sequences: heldOut.of, positions: heldOut.positions },
    };
    return new RunReport(folder, metrics, facts, before.samples, plannedBytes(device, plan), device, places);
  }

  /** Shows a text by the model. */
  add(sample: Sample): void {
    this.#samples = withSample(this.#samples, sample);
  }

  /** Writes `report.json`. */
  async writeFacts(): Promise<void> {
    await writeText(this.folder.facts, `${JSON.stringify(this.#now())}\n`);
  }

  /** Writes both. @param waited seconds in which this process waited for others */
  async write(waited: number): Promise<void> {
    await this.writeFacts();
    const { places } = this;
    const { thinned, damage } = this.metrics;
    const html = renderReport({
      ...this.#now(),
      metrics: thinned.lines,
      every: thinned.every,
      damage,
      ...(places.length > 1 && { ranks: { places, waited } }),
    });
    await writeText(this.folder.report, html);
  }

  #now(): RunFacts {
    const memory = { plannedBytes: this.plannedBytes, peakBytes: this.device.memory().peakUsedBytes };
    return { ...this.facts, memory, samples: this.#samples };
  }
}
