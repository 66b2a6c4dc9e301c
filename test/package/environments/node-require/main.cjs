const nextpatch = require("nextpatch");
const kernels = require("nextpatch/kernels");
const { use } = require("./use.cjs");

async function main() {
  console.log(await use(nextpatch, kernels));
  // Where Node can require modules, a program that mixes both has one copy of each class.
  if (process.features.require_module) {
    const imported = await import("nextpatch");
    if (imported.Device !== nextpatch.Device) throw new Error("expected one copy of the package");
  }
}
main();
