/** The built library loaded more than once in a process: as two copies of its modules, and in workers. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { expect, it } from "@jest/globals";
import { builtCommand } from "../support/built.js";

const { path } = builtCommand();

/** Runs a module to its end. Returns what it printed as JSON. */
function result(program: string): unknown {
  const at = (file: string) => JSON.stringify(pathToFileURL(path(file)).href);
  writeFileSync(
    path("program.mjs"),
    program.replaceAll("INDEX", at("dist/index.mjs")).replaceAll("KERNELS", at("dist/kernels.mjs")),
  );
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawnSync(process.execPath, [path("program.mjs")], { env, encoding: "utf8" });
  expect({ status: child.status, signal: child.signal, errors: child.stderr }).toEqual({
    status: 0,
    signal: null,
    errors: "",
  });
  return JSON.parse(child.stdout);
}

it("a second copy that has loaded nothing takes the tensors and devices of the first", () => {
  const program = `
    import { cpSync } from "node:fs";
    const first = await import(INDEX);
    cpSync(new URL("dist/", import.meta.url), new URL("copy/", import.meta.url), { recursive: true });
    const second = await import(new URL("copy/index.mjs", import.meta.url).href);
    const { patchEmbedding } = await import(new URL("copy/kernels.mjs", import.meta.url).href);
    const device = first.Device.open("cpu");
    const table = new first.Tensor(device, "f32", [4, 2]);
    table.write(Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7));
    const tokens = new first.Tensor(device, "i32", [2]);
    tokens.write(Int32Array.of(0, 2));
    const before = [{} instanceof second.Tensor, table instanceof second.Tensor];
    const mean = patchEmbedding(tokens, table, { patchSize: 2 });
    console.log(JSON.stringify({
      before,
      mean: Array.from(await mean.read()),
      after: [mean instanceof first.Tensor, mean instanceof second.Tensor, device instanceof second.Device],
    }));`;
  expect(result(program)).toEqual({ before: [false, true], mean: [2, 3], after: [true, true, false] });
});

it("every worker loads it for itself", () => {
  const program = `
    import { isMainThread, parentPort, Worker } from "node:worker_threads";
    const { Device, Tensor } = await import(INDEX);
    const compute = async () => {
      const device = Device.open("cpu", { threads: 1 });
      const tensor = new Tensor(device, "f32", [2]);
      tensor.write(Float32Array.of(1, 2));
      return { values: Array.from(await tensor.read()), right: tensor instanceof Tensor && device instanceof Device };
    };
    if (isMainThread) {
      const workers = [1, 2].map(() => new Promise((resolve, reject) => {
        new Worker(new URL(import.meta.url)).once("message", resolve).once("error", reject);
      }));
      console.log(JSON.stringify(await Promise.all([compute(), ...workers])));
    } else {
      parentPort.postMessage(await compute());
    }`;
  expect(result(program)).toEqual(Array(3).fill({ values: [1, 2], right: true }));
});
