/**
 * Trains a run as a rank, and reports each step's losses and the bytes that this rank sent for it. Arguments: report folder,
 * data folder, changes of the made config, options of `Trainer.open`.
 */
import { writeFileSync } from "node:fs";
import { native } from "../../../lib/native.js";
import { Snapshot } from "../../../lib/train/snapshot.js";
import { Trainer } from "../../../lib/train/trainer.js";
import { madeConfig } from "../../support/made_run.js";

/** The order in which a step computes and exchanges. */
const calls: string[] = [];
for (const name of ["matmul", "allGather", "reduceScatter", "awaitRanks"] as const) {
  const call = native[name] as (...args: unknown[]) => void;
  const noted = (...args: unknown[]): void => {
    calls.push(args[2] === true && name !== "matmul" ? `${name} beside` : name);
    call(...args);
  };
  Object.assign(native, { [name]: noted });
}
// As on a host that has no memory for a copy.
if (process.env.NEXTPATCH_TEST_UNCOPIED !== undefined) Snapshot.allocate = () => null;

const [, , reports, folder, changes, options] = process.argv;
const trainer = await Trainer.open(madeConfig(folder!, JSON.parse(changes!)), JSON.parse(options ?? "{}") as object);
const { device } = trainer.model;
const { layout, sharding, dtype } = trainer.model.parameters;
const planned = trainer.memoryPlan;
const lines: object[] = [];
const sent: number[] = [];
const begin = calls.length;
let ofStep: readonly string[] = [];
let before = native.rankBytes(device);
for await (const { step, loss, gradNorm, valLoss } of trainer.run()) {
  lines.push({ step, loss, gradNorm, valLoss });
  if (lines.length === 1) ofStep = calls.slice(begin);
  sent.push(native.rankBytes(device) - before);
  before = native.rankBytes(device);
}
await trainer.close();
const { rank } = sharding.share;
const report = {
  lines,
  sent,
  planned,
  parameters: layout.size,
  buckets: sharding.buckets.length,
  dtype,
  calls: ofStep,
};
writeFileSync(`${reports}/${rank}.json`, JSON.stringify(report));
