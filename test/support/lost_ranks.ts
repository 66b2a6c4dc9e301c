/** Three ranks of which one is lost. */
import { existsSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { expect } from "@jest/globals";
import { runRanks } from "./ranks.js";

/** One gets `act` done to it, which is given its process, while the others wait for it. Files are made in the folder. */
export async function loseRank(
  lost: number,
  how: "wait" | "busy",
  path: (name?: string) => string,
  act: (process: number) => unknown,
  env: NodeJS.ProcessEnv = {},
) {
  const running = runRanks(3, "lost.mjs", [how, path(), String(lost)], env);
  while (!existsSync(path("pid"))) await setTimeout(10);
  await setTimeout(50); // it is written
  const begun = performance.now();
  await act(Number(readFileSync(path("pid"), "utf8")));
  const { code, errors, reports } = await running;
  const lines = errors.split("\n").filter((line) => line.startsWith("nextpatch: "));
  return { code, lines, reports, seconds: (performance.now() - begun) / 1000 };
}

/** The one line that is said. */
export const lossLine = (text: string) => [expect.stringMatching(new RegExp(`^nextpatch: ${text}; so all ranks end$`))];
