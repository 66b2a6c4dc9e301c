/** Small comparisons of recipes, which note what they train. */
import { compare } from "../../lib/compare/compare.js";
import type { CompareOptions } from "../../lib/compare/options.js";
import { tinyConfig } from "./made_comparison.js";

/** Runs a comparison of recipes on cpu; `ran` are the labels of the runs that trained. */
export async function runRecipes(folder: string, options: CompareOptions, changes: Record<string, unknown> = {}) {
  const ran = new Set<string>();
  const config = tinyConfig(folder, "cpu", { stages: undefined, eval: { everySteps: 4, sequences: 4 }, ...changes });
  const result = await compare(config, {
    ...options,
    onProgress: (progress) => {
      const { note, done, total } = progress;
      if (done > total) throw new Error(`${note}: ${done} of ${total}`);
      if (note.includes("| step ")) ran.add(/^run \d+\/\d+: (.*?) \|/.exec(note)![1]!);
      options.onProgress?.(progress);
    },
  });
  return { ...result, ran: [...ran] };
}
