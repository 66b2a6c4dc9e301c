/**
 * Rank 1 is lost, or comes to no more operations. Argument: how. The others wait in an operation; the files `begun` and
 * `late` say how far it is.
 */
import { existsSync, writeFileSync } from "node:fs";
import { args, device, native, rank, report, size, tensor } from "./rank.mjs";

const [how, folder, lost = "1"] = args;
const values = tensor(Float32Array.of(1));
const sum = async () => {
  native.allReduce(values);
  await device.synchronize();
};
await sum();
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

if (rank === Number(lost)) {
  writeFileSync(`${folder}/pid`, String(process.pid));
  if (how === "busy") for (;;); // an event loop that never ends
  // Until the test has done something to this process.
  while (!existsSync(`${folder}/go`)) await pause(20);
}
await sum();
report((await values.read())[0] === size ** 2);
