import * as nextpatch from "nextpatch";
import * as kernels from "nextpatch/kernels";
import { use } from "./use.mjs";

console.log(await use(nextpatch, kernels));
