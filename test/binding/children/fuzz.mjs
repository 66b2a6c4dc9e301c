/**
 * Random calls of everything the addon exports, with junk among good arguments: `fuzz.mjs BACKEND SEED CALLS`.
 * Prints the calls that failed with anything but a typed error, and how many succeeded and failed.
 */
import { native } from "./addon.mjs";

const [backend, seed, calls] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
let state = seed;
/** A whole number in [0, n). */
function dice(n) {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % n;
}
const pick = (list) => list[dice(list.length)];

const { Device, Tensor } = native;
const device = new Device(backend, 0, 1);
const other = new Device(backend, 0, 1);

function mine() {
  throw new Error("mine");
}
const hostile = [
  { toString: mine, valueOf: mine },
  { [Symbol.toPrimitive]: mine },
  new Proxy({}, { get: mine, has: mine, getPrototypeOf: mine }),
  new Proxy(function () {}, { get: mine, apply: mine, construct: mine }),
  new Proxy([2, 3], {}),
  Object.create(null),
  Object.create(Tensor.prototype),
  Object.create(Device.prototype),
  Tensor.prototype,
  Device.prototype,
  Tensor,
  Device,
  Object.defineProperty([2, 2], 1, { get: mine }),
  new Array(3),
  new Array(70000),
  Symbol("s"),
  10n,
  new Date(NaN),
  new SharedArrayBuffer(8),
  new Float32Array(new SharedArrayBuffer(96)),
  new Map(),
  globalThis,
  "",
  "x".repeat(100000),
  "\ud800",
];
const numbers = [
  0,
  -0,
  1,
  2,
  3,
  4,
  6,
  0.5,
  -1,
  NaN,
  Infinity,
  -Infinity,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 60,
  1e300,
  5e-324,
];
const plain = [
  null,
  undefined,
  true,
  false,
  "f32",
  "bf16",
  "i32",
  "cpu",
  [],
  [1],
  [2, 3],
  [2, 3, 4],
  [2, 1, 2, 32],
  [6],
  [-1],
  [2 ** 30, 2 ** 30],
  new Float32Array(6),
  new Uint16Array(6),
  new Int32Array(6),
  new Float64Array(6),
];

function tensor() {
  const shape = pick([
    [1],
    [2],
    [6],
    [8],
    [2, 3],
    [3, 2],
    [6, 6],
    [2, 6],
    [4, 2, 2],
    [2, 3, 4, 32],
    [2, 3, 2, 32],
    [2, 4, 3],
  ]);
  const made = new Tensor(dice(12) === 0 ? other : device, pick(["f32", "f32", "bf16", "i32"]), shape);
  native.fill(made, 0);
  const kind = dice(10);
  if (kind === 0) made.dispose();
  if (kind === 1) return made.narrow(shape.length - 1, 0, 1 + dice(shape.at(-1)));
  return made;
}

function argument() {
  const kind = dice(10);
  if (kind < 5) return tensor();
  if (kind < 7) return pick(numbers);
  if (kind < 9) return pick(plain);
  return dice(8) === 0 ? device : pick(hostile);
}

const functions = Object.entries(native).filter(
  ([name, value]) => typeof value === "function" && !["backends", "setErrorClasses", "Device", "Tensor"].includes(name),
);
const methods = ["reshape", "narrow", "write", "prefetch", "read", "dispose"];
const typed = ["TypeError", "RangeError", "OutOfMemoryError", "DeviceError"];
const counts = { succeeded: 0, failed: 0 };
const wrong = [];

async function call(name, args) {
  if (name === "Tensor") return new Tensor(...args);
  if (name === "Device") return new Device(...args);
  if (methods.includes(name)) return tensor()[name](...args);
  return native[name](...args);
}

for (let i = 0; i < calls; ++i) {
  const [name] = pick([pick(functions), pick(functions), pick(functions), ["Tensor"], ["Device"], [pick(methods)]]);
  // A device is never given back before the process ends: none is opened by luck.
  const args = Array.from({ length: dice(12) }, argument);
  if (name === "Device" && args[0] === backend) args[0] = "none";
  if (name === "Tensor" && dice(2) === 0) args[0] = device;
  try {
    await call(name, args);
    counts.succeeded += 1;
  } catch (error) {
    counts.failed += 1;
    if (error?.message !== "mine" && !typed.includes(error?.name))
      wrong.push(`${name}: ${error?.name}: ${error?.message}`);
  }
  if (i % 64 === 0)
    await device.synchronize().catch((error) => typed.includes(error.name) || wrong.push(`queue: ${error}`));
}
await other.synchronize().catch(() => {});
const alive = new Tensor(device, "f32", [3]);
await device.synchronize().catch(() => {});
native.fill(alive, 4);
console.log(JSON.stringify({ ...counts, wrong: wrong.slice(0, 10), alive: [...(await alive.read())] }));
