/** Ends worker threads in the middle of what they do, then computes in a worker and here. Prints the results. */
import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { native, thrown } from "./addon.mjs";

const { Device, Tensor } = native;

async function compute(backend, size, products) {
  const device = new Device(backend, 0, 1);
  const [a, b, c] = [0, 1, 2].map(() => new Tensor(device, "f32", [size, size]));
  native.fill(a, 1);
  native.fill(b, 2);
  for (let i = 0; i < products; ++i) native.matmul(c, a, b, false, false, false);
  parentPort?.postMessage("started");
  return (await c.read())[0];
}

/** What a worker is doing when it is ended. */
const unfinished = {
  queue: (backend, size) => compute(backend, size, 200),
  calls: async (backend) => {
    const device = new Device(backend, 0, 1);
    parentPort.postMessage("started");
    for (;;) {
      const tensor = new Tensor(device, "f32", [64]);
      native.fill(tensor, 1);
      tensor.dispose();
    }
  },
  errors: async () => {
    parentPort.postMessage("started");
    for (;;) thrown(() => native.fill(1, 1));
  },
  reads: async (backend) => {
    const tensor = new Tensor(new Device(backend, 0, 1), "f32", [64]);
    native.fill(tensor, 1);
    parentPort.postMessage("started");
    for (;;) await tensor.read();
  },
};

if (isMainThread) {
  const [backend, size] = [process.argv[2], Number(process.argv[3])];
  const start = (doing) => new Worker(new URL(import.meta.url), { workerData: { backend, size, doing } });
  for (const doing of Object.keys(unfinished)) {
    const worker = start(doing);
    await once(worker, "message");
    await setTimeout(20);
    await worker.terminate();
  }
  const results = [];
  const whole = start("whole");
  whole.on("message", (message) => message === "started" || results.push(message));
  await once(whole, "exit");
  results.push(await compute(backend, size, 2));
  console.log(JSON.stringify(results));
} else {
  const { backend, size, doing } = workerData;
  if (doing === "whole") parentPort.postMessage(await compute(backend, size, 2));
  else await unfinished[doing](backend, size);
}
