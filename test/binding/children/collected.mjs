/** Makes tensors and lets go of them. Run with --expose-gc; prints the bytes in use before, at most and after. */
import { setImmediate } from "node:timers/promises";
import { native } from "./addon.mjs";

const { Device, Tensor } = native;
const device = new Device(process.argv[2], 0, 1);
const before = device.memory().usedBytes;
(() => {
  for (let i = 0; i < 50; ++i) native.fill(new Tensor(device, "f32", [1000]).reshape([10, 100]), i);
})();
const { peakUsedBytes } = device.memory();
for (let i = 0; i < 20 && device.memory().usedBytes > before; ++i) {
  globalThis.gc();
  await setImmediate();
  await device.synchronize();
}
console.log(JSON.stringify({ before, peak: peakUsedBytes, after: device.memory().usedBytes }));
