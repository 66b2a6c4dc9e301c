import * as nextpatch from "nextpatch";
import * as kernels from "nextpatch/kernels";

const { use } = require("./use.cjs") as typeof import("./use.mjs");
async function main() {
  console.log(await use(nextpatch, kernels));
  const imported = await import("nextpatch");
  if (imported.Device !== nextpatch.Device) throw new Error("expected one copy of the package");
}
main();
