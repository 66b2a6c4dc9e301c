/**
 * Run as a separate process by memory.test.ts: trains a model so large that its plan outweighs the program, and prints
 * the planned bytes, those of the copy that checkpoints are written from, the bytes that the device counted and the growth
 * of the process.
 * Argument: a folder with train.bin and val.bin.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { Device } from "../../lib/device.js";
import { Trainer } from "../../lib/train/trainer.js";
import { madeConfig, madeVocabulary } from "./made_run.js";

const config = madeConfig(process.argv[2]!, {
  model: {
    hidden_size: 640,
    intermediate_size: 1728,
    num_hidden_layers: 3,
    num_attention_heads: 10,
    vocab_size: madeVocabulary,
    max_position_embeddings: 128,
  },
  batch: { tokensPerStep: 2048, sequenceLength: 128, microBatch: 4 },
  stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }],
  train: { steps: 4 },
  eval: { everySteps: 1, sequences: 1 },
  checkpoint: { everySteps: 1, keep: 1 },
});
// The device's libraries are the program's memory, not the run's.
const device = Device.open("cpu", { threads: 2 });
await device.synchronize();
// From here on the kernel counts the most that is resident, within steps and checkpoints too. (The counter of getrusage,
// maxRSS, cannot be used: it begins with the size of the process that started this one.)
writeFileSync("/proc/self/clear_refs", "5");
const before = process.memoryUsage().rss;
const peakResident = () => 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))![1]);
const trainer = await Trainer.open(config);
const planned = trainer.memoryPlan.reduce((sum, { bytes }) => sum + bytes, 0);
const allocations: number[] = [];
for await (const _ of trainer.run()) {
  allocations.push(trainer.model.device.memory().systemAllocations);
}
const { copyBytes } = trainer;
const { peakUsedBytes, reservedBytes } = trainer.model.device.memory();
await trainer.close();
const grown = peakResident() - before;
process.stdout.write(JSON.stringify({ planned, copyBytes, grown, peakUsedBytes, reservedBytes, allocations }));
