// Rank 0 sums beside computing with a rank that comes half a second later. Reports the seconds that its computing took, and
// those that it then waited.
import { setTimeout } from "node:timers/promises";
import { device, native, rank, report, size, tensor } from "./rank.mjs";

const count = 1 << 16;
const input = tensor(Float32Array.from({ length: count * size }, (_, index) => index + rank));
const own = tensor(new Float32Array(count));
const other = tensor(new Float32Array(count));
await device.synchronize();
if (rank > 0) await setTimeout(500);
device.mark(0);
native.reduceScatter(own, input, true);
native.fill(other, 7);
device.mark(1);
native.awaitRanks(device, 0);
native.copy(other, own);
device.mark(2);
const [, computed, waited] = await device.marks(3);
const [first] = await other.read();
report({ computed, waited: waited - computed, first });
