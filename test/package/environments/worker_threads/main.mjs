import { Worker } from "node:worker_threads";
import * as nextpatch from "nextpatch";
import * as kernels from "nextpatch/kernels";
import { use } from "./use.mjs";

// Two at a time beside the main thread, and two after they have ended.
const worker = () =>
  new Promise((resolve, reject) => {
    const thread = new Worker(new URL("worker.mjs", import.meta.url));
    thread.once("message", console.log).once("error", reject);
    thread.once("exit", (code) => (code === 0 ? resolve(code) : reject(new Error(`exit code ${code}`))));
  });
for (let round = 0; round < 2; round++) {
  const [, , text] = await Promise.all([worker(), worker(), use(nextpatch, kernels)]);
  console.log(text);
}
