import * as nextpatch from "nextpatch";
import * as kernels from "nextpatch/kernels";

const { use } = require("./use.cjs") as typeof import("./use.mjs");
use(nextpatch, kernels).then(console.log);
