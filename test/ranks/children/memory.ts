/**
 * Trains two steps on tokens in memory, and reports their losses. Arguments: report folder, folder, and, by rank, the seed of
 * its tokens and that of their loss mask; 0: it has none.
 */
import { writeFileSync } from "node:fs";
import { TokenDataset } from "../../../lib/data/dataset.js";
import { launchedRank } from "../../../lib/ranks/place.js";
import { Trainer } from "../../../lib/train/trainer.js";
import { madeMask } from "../../support/made_mask.js";
import { madeConfig, madeTokens } from "../../support/made_run.js";

const [, , reports, folder, ...seeds] = process.argv;
const rank = launchedRank() ?? 0;
const [seed, maskSeed] = seeds[rank]!.split(" ").map(Number);

const mask = maskSeed === 0 ? {} : { mask: madeMask(6000, maskSeed!) };
const train = await TokenDataset.from(madeTokens(6000, seed!), mask);
const changes = { data: { train: "dataset:train" }, eval: undefined, train: { steps: 2 }, out: `${folder}/run` };
const losses: number[] = [];
{
  await using trainer = await Trainer.open(madeConfig(folder!, changes), { datasets: { train } });
  for await (const { loss } of trainer.run()) losses.push(loss);
}
writeFileSync(`${reports}/${rank}.json`, JSON.stringify(losses));
