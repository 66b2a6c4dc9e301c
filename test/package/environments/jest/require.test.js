const nextpatch = require("nextpatch");
const kernels = require("nextpatch/kernels");
const { use } = require("./use.cjs");

test("nextpatch", async () => console.log(await use(nextpatch, kernels)), 60_000);
