/**
 * Makes 100 tensors of 16 MiB, one after another, and never asks for a collection. Prints the most of them that had
 * memory at a time and how many collections there were: first where they are disposed of, then where they, or views
 * of them, are only let go of, which the collector cares about by what it is told of their memory.
 */
import { constants, PerformanceObserver } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { native } from "./addon.mjs";

const { Device, Tensor } = native;
const [bytes, count] = [1 << 24, 100];
let collections = 0;
new PerformanceObserver((list) => {
  const major = ({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
  collections += list.getEntries().filter(major).length;
}).observe({ entryTypes: ["gc"] });

async function make(threads, finish) {
  const device = new Device(process.argv[2], 0, threads); // of its own, and with it the peak
  const { usedBytes } = device.memory(); // a GPU's workspace
  collections = 0;
  for (let i = 0; i < count; ++i) {
    finish(new Tensor(device, "f32", [bytes / 4]));
    await setImmediate();
  }
  return { peak: (device.memory().peakUsedBytes - usedBytes) / bytes, collections };
}

const disposed = await make(1, (tensor) => tensor.dispose());
const letGo = await make(2, () => undefined);
const viewLetGo = await make(3, (tensor) => {
  tensor.reshape([bytes / 8, 2]);
  tensor.dispose();
});
console.log(JSON.stringify({ disposed, letGo, viewLetGo }));
