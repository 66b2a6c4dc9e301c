import * as nextpatch from "nextpatch";
import * as kernels from "nextpatch/kernels";
import { use } from "./use.mjs";

test("nextpatch", async () => console.log(await use(nextpatch, kernels)), 60_000);
