/** Uses two devices of a backend in turn, graphs and all, and prints what each has computed. */
import { native } from "./addon.mjs";

const { Device, Tensor } = native;
const devices = [0, 1].map((index) => new Device(process.argv[2], index, 2));
const tensors = devices.map((device) => new Tensor(device, "f32", [1000]));
const sums = devices.map((device) => new Tensor(device, "f32", [1]));
const graphs = devices.map((device, which) => {
  device.beginCapture();
  native.fill(tensors[which], which + 1);
  native.sum(sums[which], tensors[which], true);
  return device.endCapture();
});
for (const sum of sums) native.fill(sum, 0);
// Enqueued on both before either is waited for.
for (let round = 0; round < 3; ++round) for (const graph of graphs) graph.launch();
tensors[1].prefetch(new Float32Array(1000).fill(5));
native.sum(sums[1], tensors[1], true);
const values = await Promise.all(sums.map((sum) => sum.read()));
const used = devices.map((device) => device.memory().usedBytes > 0);
for (const tensor of [...tensors, ...sums]) tensor.free();
let mixed = "";
try {
  native.copy(new Tensor(devices[0], "f32", [1]), new Tensor(devices[1], "f32", [1]));
} catch (error) {
  mixed = error.message;
}
console.log(JSON.stringify({ values: values.map(([value]) => value), used, mixed }));
