import * as nextpatch from "nextpatch";
import * as kernels from "nextpatch/kernels";
import { use } from "./use.cjs";

test("nextpatch", async () => console.log(await use(nextpatch, kernels)), 60_000);
