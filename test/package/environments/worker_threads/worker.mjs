import { parentPort } from "node:worker_threads";
import * as nextpatch from "nextpatch";
import * as kernels from "nextpatch/kernels";
import { use } from "./use.mjs";

parentPort.postMessage(await use(nextpatch, kernels));
