/** Copies to and from the device that page-locked memory is missing for. Prints how they failed, and what went on. */
import { native } from "./addon.mjs";

const { Device, Tensor } = native;
const device = new Device(process.argv[2], 0, 1);
const large = new Tensor(device, "f32", [1_000_000]);
const small = new Tensor(device, "f32", [4]);
native.fill(large, 1);
const failures = [];
const told = (error) => failures.push([error.name, error.message]);
const data = new Float32Array(large.size);
for (const copy of [() => large.write(data), () => large.prefetch(data)]) {
  try {
    copy();
  } catch (error) {
    told(error);
  }
}
await large.read().catch(told);
small.write(Float32Array.of(1, 2, 3, 4));
console.log(JSON.stringify({ failures, alive: [...(await small.read())] }));
