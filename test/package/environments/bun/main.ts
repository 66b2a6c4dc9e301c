import * as nextpatch from "nextpatch";
import * as kernels from "nextpatch/kernels";
import { use } from "./use.mjs";

const device: nextpatch.Device = nextpatch.Device.open("cpu");
console.log(device.name, await use(nextpatch, kernels));
