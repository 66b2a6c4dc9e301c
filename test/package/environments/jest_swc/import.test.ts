import * as nextpatch from "nextpatch";
import * as kernels from "nextpatch/kernels";

const { use } = require("./use.cjs");

test("nextpatch", async () => console.log(await use(nextpatch, kernels)), 60_000);
