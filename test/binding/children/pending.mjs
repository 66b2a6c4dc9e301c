/** Ends with work in the queue and a read nobody waits for. */
import { native } from "./addon.mjs";

const { Device, Tensor } = native;
const [backend, how, size] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const device = new Device(backend, 0, 2);
const [a, b, c] = [0, 1, 2].map(() => new Tensor(device, "f32", [size, size]));
for (const x of [a, b]) native.fill(x, 1);
// Products of many shapes: each is prepared anew, in libraries that the end of the process takes down.
for (let rows = 1; rows <= size; ++rows) {
  native.matmul(c.narrow(0, 0, rows), a.narrow(0, 0, rows), b, false, false, false);
}
const last = c.read();
console.log("queued");
if (how === "exit") process.exit(0);
if (how === "throw") throw new Error("on purpose");
if (how === "awaited") console.log((await last)[0]);
