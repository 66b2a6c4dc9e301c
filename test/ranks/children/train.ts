/**
 * Trains a run as a rank, and reports each step's losses and the bytes that this rank sent for it. Arguments: report folder,
 * data folder, changes of the made config, options of `Trainer.open`.
 */
import { writeFileSync } from "node:fs";
import { native } from "../../../lib/native.js";
import { Trainer } from "../../../lib/train/trainer.js";
import { madeConfig } from "../../support/made_run.js";

const [, , reports, folder, changes, options] = process.argv;
const trainer = await Trainer.open(madeConfig(folder!, JSON.parse(changes!)), JSON.parse(options ?? "{}") as object);
const { device } = trainer.model;
const { layout, sharding, dtype } = trainer.model.parameters;
const planned = trainer.memoryPlan;
const lines: object[] = [];
const sent: number[] = [];
let before = native.rankBytes(device);
for await (const { step, loss, gradNorm, valLoss } of trainer.run()) {
  lines.push({ step, loss, gradNorm, valLoss });
  sent.push(native.rankBytes(device) - before);
  before = native.rankBytes(device);
}
await trainer.close();
const { rank } = sharding.share;
const report = { lines, sent, planned, parameters: layout.size, buckets: sharding.buckets.length, dtype };
writeFileSync(`${reports}/${rank}.json`, JSON.stringify(report));
