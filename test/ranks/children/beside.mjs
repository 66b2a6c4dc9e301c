// Rank 0 sums beside computing with a rank that comes half a second later, of a tensor that it has disposed of. Reports the
// seconds that its computing took, and those that it then waited, and whether the tensor's memory was free before that, and
// after.
import { setTimeout } from "node:timers/promises";
import { device, native, rank, report, size, tensor } from "./rank.mjs";

const { Tensor } = native;

const count = 1 << 16;
const input = tensor(Float32Array.from({ length: count * size }, (_, index) => index + rank));
const own = tensor(new Float32Array(count));
const used = () => device.memory().usedBytes;
const { byteLength } = input;
const before = used();
await device.synchronize();
if (rank > 0) await setTimeout(500);
device.mark(0);
native.reduceScatter(own, input, true);
input.dispose();
const freed = [before - used()];
const other = new Tensor(device, "f32", [input.size]); // would be given the memory, were it free
native.fill(other, 7);
other.dispose();
device.mark(1);
native.awaitRanks(device, 0);
freed.push(before - used());
device.mark(2);
const [, computed, waited] = await device.marks(3);
const [first] = await own.read();
report({ computed, waited: waited - computed, first, freed: freed.map((bytes) => bytes >= byteLength) });
