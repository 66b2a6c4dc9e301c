/**
 * Takes the process's memory away once its tensors are made, so that the cpu backend itself, not the core, runs out of
 * it: prints what a product throws that needs room for a copy of b. Enough is left for everything else in the process.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { native } from "./addon.mjs";

const { Device, Tensor } = native;
const device = new Device("cpu", 0, 2);
const product = (m, n, k) => {
  const tensors = [
    [m, n],
    [m, k],
    [k, n],
  ].map((shape) => new Tensor(device, "f32", shape));
  for (const tensor of tensors) native.fill(tensor, 1);
  return () => native.matmul(...tensors, false, false, false);
};
const large = product(1024, 8192, 8192);
product(64, 128, 32)(); // threads and their stacks
await device.synchronize();

const used = Number(/VmSize:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
execFileSync("prlimit", [`--pid=${process.pid}`, `--as=${used + 192 * 2 ** 20}:`]);
try {
  large();
  await device.synchronize();
  console.log(JSON.stringify(["nothing"]));
} catch ({ name, message }) {
  console.log(JSON.stringify([name, message]));
}
