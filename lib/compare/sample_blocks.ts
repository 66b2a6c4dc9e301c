/** The same held-out texts, continued by every arm. */
import type { CompareReport } from "./report.js";
import { drawnArms } from "./report_arms.js";
import { sampling } from "./samples.js";

/** A text, and how it goes on. */
export interface SampleBlock {
  readonly prompt: string;
  /** How the text itself goes on, and then how each arm goes on with it. */
  readonly continuations: readonly { readonly label: string; readonly text: string }[];
}

/** A block for each text; none if there was no tokenizer. The sweep's arms would be too many. */
export function sampleBlocks(report: CompareReport): SampleBlock[] {
  const arms = drawnArms(report).filter(({ run }) => run.samples !== undefined);
  const { start, baseline } = report.comparison;
  return (baseline.samples ?? []).map(({ prompt, heldOut }, index) => ({
    prompt,
    continuations: [
      { label: "the text itself", text: heldOut },
      ...(start?.samples ? [{ label: "the model before", text: start.samples[index]!.text }] : []),
      ...arms.map(({ label, run }) => ({ label, text: run.samples![index]!.text })),
    ],
  }));
}

/** How they were made. */
export function sampleNote({ comparison: { seeds } }: CompareReport): string {
  const first = seeds.length > 1 ? `, here those of seed ${seeds[0]}` : "";
  return (
    `The final models${first} continue places of the held-out text that no run was trained on. Every model draws with ` +
    `the same random numbers (temperature ${sampling.temperature}, top-p ${sampling.topP}, seed ${sampling.seed}). A ` +
    "few texts are to be read, not counted: the numbers above say which run is better."
  );
}
