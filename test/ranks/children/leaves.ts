/**
 * Trains a run as a rank, and leaves its loop early. Arguments: report folder, data folder, changes of the made config, how,
 * by rank: `break` or `throw`, and after which step; `on`: goes on.
 */
import { writeFileSync } from "node:fs";
import { launchedRank } from "../../../lib/ranks/place.js";
import { Trainer } from "../../../lib/train/trainer.js";
import { madeConfig } from "../../support/made_run.js";

const [, , reports, folder, changes, ...how] = process.argv;
const rank = launchedRank() ?? 0;
const [act, step] = how[rank]!.split(" ");

const trainer = await Trainer.open(madeConfig(folder!, JSON.parse(changes!)));
const lines: number[] = [];
/** A second run goes on where the first was left, with steps of its own. */
for (const last of [Number(step), Number(step) + 1]) {
  for await (const line of trainer.run()) {
    lines.push(line.step);
    if (line.step !== last) continue;
    if (act === "throw") throw new Error("on purpose");
    if (act === "break") break;
  }
}
await trainer.finish();
await trainer.close();
writeFileSync(`${reports}/${rank}.json`, JSON.stringify(lines));
