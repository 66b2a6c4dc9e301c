/** What `eval` says of a made run. */
import { type Command, complaint } from "./built.js";

/** Evaluates the model of the run "two" on the made data, with `flags`. @throws Error of what the command says */
export async function evaluated(nextpatch: Command, ...flags: string[]): Promise<{ loss: number; tokens: number }> {
  const of = ["--model", "two/model", "--data", "val.bin", "--sequence-length", "16"];
  const { code, stdout, stderr } = await nextpatch("--json", "eval", ...of, ...flags);
  if (code !== 0) throw new Error(complaint(stderr));
  return JSON.parse(stdout) as { loss: number; tokens: number };
}
