const nextpatch = require("nextpatch");
const kernels = require("nextpatch/kernels");
const { use } = require("./use.cjs");

async function main() {
  console.log(await use(nextpatch, kernels));
  const imported = await import("nextpatch");
  if (imported.Device !== nextpatch.Device) throw new Error("expected one copy of the package");
}
main();
