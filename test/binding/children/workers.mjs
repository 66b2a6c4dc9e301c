/** Computes in worker threads, ends some in the middle, then computes in the main thread. Prints the results. */
import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { native } from "./addon.mjs";

const { Device, Tensor } = native;

async function compute(backend, size, products) {
  const device = new Device(backend, 0, 1);
  const [a, b, c] = [0, 1, 2].map(() => new Tensor(device, "f32", [size, size]));
  native.fill(a, 1);
  native.fill(b, 2);
  for (let i = 0; i < products; ++i) native.matmul(c, a, b, false, false, false);
  parentPort?.postMessage("queued");
  return (await c.read())[0];
}

if (isMainThread) {
  const [backend, size] = [process.argv[2], Number(process.argv[3])];
  const start = (products) => new Worker(new URL(import.meta.url), { workerData: { backend, size, products } });
  const results = [];
  for (let i = 0; i < 3; ++i) {
    const ended = start(200);
    await once(ended, "message");
    await ended.terminate();
  }
  const whole = start(2);
  whole.on("message", (message) => message === "queued" || results.push(message));
  await once(whole, "exit");
  results.push(await compute(backend, size, 2));
  console.log(JSON.stringify(results));
} else {
  parentPort.postMessage(await compute(workerData.backend, workerData.size, workerData.products));
}
