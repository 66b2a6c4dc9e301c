/** Goes on using a device after a kernel of it has faulted, as a program does that has not waited yet. */
import { native } from "./addon.mjs";

const { Device, Tensor } = native;
const device = new Device(process.argv[2], 0, 2);
const x = new Tensor(device, "f32", [64]);
const table = new Tensor(device, "f32", [4, 32]);
const [thrown, waits] = [[], []];

const attempt = (body) => {
  try {
    body();
  } catch (error) {
    thrown.push(error.name);
  }
};
for (let round = 0; round < 4; ++round) {
  attempt(() => native.fill(x, round));
  attempt(() => native.normal(table, 0.02, round, 0));
  attempt(() => x.write(new Float32Array(64)));
  attempt(() => x.prefetch(new Float32Array(64)));
  attempt(() => waits.push(x.read()));
  attempt(() => new Tensor(device, "f32", [1000 + round]).dispose());
  attempt(() => {
    device.beginCapture();
    native.fill(x, 1);
    const graph = device.endCapture();
    graph.launch();
    graph.dispose();
  });
  attempt(() => waits.push(device.synchronize()));
}
const outcomes = await Promise.allSettled(waits);
const rejected = outcomes.filter(({ status }) => status === "rejected").map(({ reason }) => reason.message);
console.log(JSON.stringify({ thrown, rejected }));
