/** Joins by the public API and reports what it found, or the error. Arguments: report folder, device, options. */
import { writeFileSync } from "node:fs";
import { Device, type DeviceSpec, Ranks, Tensor } from "../../../lib/index.js";

const [, , folder, spec, options] = process.argv;

async function found(): Promise<unknown> {
  const ranks = await Ranks.join(Device.open(spec as DeviceSpec), JSON.parse(options!) as object);
  const values = new Tensor(ranks.device, "f32", [3]);
  values.write(Float32Array.of(1, 2, 3));
  ranks.allReduce(values);
  const half = new Tensor(ranks.device, "f32", [3 / ranks.size]);
  ranks.reduceScatter(half, values);
  ranks.allGather(values, half);
  const { rank, size, host, engine, library, bytes } = ranks;
  const sums = [...(await values.read())];
  let refused = "nothing";
  try {
    ranks.allGather(half, values.narrow(0, 0, 2));
  } catch (error) {
    refused = String(error);
  }
  await ranks.leave();
  return { rank, size, host, engine, library, bytes, sums, refused };
}

const result = await found().catch((error: Error) => `${error.name}: ${error.message}`);
writeFileSync(`${folder}/0.json`, JSON.stringify(result));
