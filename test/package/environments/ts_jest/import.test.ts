import * as nextpatch from "nextpatch";
import * as kernels from "nextpatch/kernels";

const { use } = require("./use.cjs");

// Types of both entries are found, as of the same classes.
const device: kernels.Device = nextpatch.Device.open("cpu");
test(device.name, async () => console.log(await use(nextpatch, kernels)), 60_000);
