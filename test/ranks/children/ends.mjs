/** Ends in one of many ways. Argument: which. */
import { args, device, native, rank, report, tensor } from "./rank.mjs";

const [how] = args;
const values = tensor(Float32Array.of(1));
native.allReduce(values);
await device.synchronize();
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

if (how === "ticks") {
  // Rank 1 comes late: the others' event loops go on.
  let ticks = 0;
  const timer = setInterval(() => ++ticks, 5);
  if (rank === 1) await pause(500);
  const begun = ticks;
  native.allReduce(values);
  await device.synchronize();
  clearInterval(timer);
  report(ticks - begun);
}
// The others wait for a rank that does not come.
const awaited = async () => {
  native.allReduce(values);
  await device.synchronize();
};
if (how === "killed") rank === 1 ? process.kill(process.pid, "SIGKILL") : await awaited();
if (how === "throws") {
  if (rank === 1) throw new Error("on purpose");
  await awaited();
}
if (how === "exits") rank === 1 ? process.exit(0) : await awaited();
// An operation that no other rank calls, and nobody waits for.
if (how === "pending" && rank === 1) native.allReduce(values);
if (how === "pending") process.exit(0);
if (how === "late" && rank === 1) await pause(300);
if (how === "left") {
  await native.leaveRanks(device);
  let after = "nothing";
  try {
    native.allReduce(values);
  } catch (error) {
    after = `${error.name}: ${error.message}`;
  }
  report(after);
}
