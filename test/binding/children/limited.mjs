/**
 * Limits the process's address space to 2 GiB more than it has. Prints what sets its free memory, and how tensors of 1 GiB
 * end.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { native, thrown } from "./addon.mjs";

const { Device, Tensor } = native;
const device = new Device("cpu", 0, 2);
await device.synchronize();
const used = Number(/VmSize:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
execFileSync("prlimit", [`--pid=${process.pid}`, `--as=${used + 2 ** 31}:`]);
const { limitedBy, freeBytes } = device.memory();
const ends = [1, 2, 3].map(() => thrown(() => new Tensor(device, "f32", [2 ** 28])));
console.log(JSON.stringify({ limitedBy, freeBytes, ends }));
