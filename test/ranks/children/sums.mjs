/** Every operation on tensors of many sizes, against plain sums in the order of the ranks. Reports what was wrong. */
import { createHash } from "node:crypto";
import { device, native, rank, report, size, tensor } from "./rank.mjs";

const { Tensor } = native;
const wrong = [];
const bits = createHash("sha256");

/** The values of rank r, of many magnitudes, so that another order of a sum has other bits. */
const scales = Float64Array.from({ length: 32 }, (_, i) => 2 ** (i - 47));
function values(r, n) {
  const made = new Float32Array(n);
  const seed = Math.imul(r + 1, 0x85ebca6b);
  for (let i = 0; i < n; ++i) {
    const mixed = Math.imul(i + 1, 0x9e3779b1) ^ seed;
    made[i] = mixed * scales[(mixed >>> 5) & 31];
  }
  return made;
}
function sums(n) {
  const sum = values(0, n);
  for (let r = 1; r < size; ++r) {
    const more = values(r, n);
    for (let i = 0; i < n; ++i) sum[i] += more[i];
  }
  return sum;
}

async function expect(name, result, expected) {
  const data = await result.read();
  bits.update(data);
  let at = 0;
  while (at < data.length && data[at] === expected[at]) ++at;
  if (at < data.length || data.length !== expected.length)
    wrong.push(`${name}: [${at}] is ${data[at]}, not ${expected[at]}`);
}

/** Blocks of equal and, for allReduce, unequal lengths; the longest comes in several pieces. */
const blocks = [1, 3, 64, 4099, 2 ** 21 / 2 + 5];
for (const block of blocks) {
  const n = block * size;
  const [begin, end] = [block * rank, block * (rank + 1)];
  const input = tensor(values(rank, n));
  const expected = sums(n);
  const before = native.rankBytes(device);
  const out = new Tensor(device, "f32", [block]);
  native.reduceScatter(out, input, false);
  await expect(`reduceScatter ${n}`, out, expected.subarray(begin, end));
  await expect(`reduceScatter ${n}: input`, input, values(rank, n));
  const scattered = native.rankBytes(device);
  const all = new Tensor(device, "f32", [n]);
  native.allGather(all, out, false);
  await expect(`allGather ${n}`, all, expected);
  const gathered = native.rankBytes(device);
  native.allReduce(input);
  await expect(`allReduce ${n}`, input, expected);
  const reduced = native.rankBytes(device);
  // Each moves n (N-1)/N values, and the sum of all moves them twice.
  const share = 4 * block * (size - 1);
  const moved = [scattered - before, gathered - scattered, reduced - gathered];
  if (`${moved}` !== `${[share, share, 2 * share]}`) wrong.push(`bytes of ${n}: ${moved}`);
  for (const each of [input, out, all]) each.dispose();
}

for (const n of [1, 2, 5, 7, 4097]) {
  const all = tensor(values(rank, n));
  native.allReduce(all);
  await expect(`allReduce ${n}`, all, sums(n));
}

// In place: a block of the whole tensor is the result, and the part that is given to the others.
const whole = tensor(values(rank, 5 * size));
const own = whole.narrow(0, 5 * rank, 5);
native.reduceScatter(own, whole, false);
await expect("reduceScatter in place", own, sums(5 * size).subarray(5 * rank, 5 * rank + 5));
native.allGather(whole, own, false);
await expect("allGather in place", whole, sums(5 * size));

for (const [dtype, array] of [
  ["bf16", Uint16Array],
  ["i32", Int32Array],
]) {
  const part = (r) => array.from({ length: 9 }, (_, i) => 31 * i + 1000 * r);
  const gathered = new Tensor(device, dtype, [9 * size]);
  native.allGather(gathered, tensor(part(rank), dtype), false);
  await expect(`allGather ${dtype}`, gathered, Array.from({ length: size }, (_, r) => [...part(r)]).flat());
}

// A recorded operation runs at each launch, in its place among the others.
const recorded = tensor(Float32Array.of(1, 2, 3));
device.beginCapture();
native.allReduce(recorded);
const graph = device.endCapture();
for (let time = 0; time < 3; ++time) graph.launch();
await expect(
  "a graph",
  recorded,
  [1, 2, 3].map((x) => x * size ** 3),
);
graph.dispose();

report({ wrong, bits: bits.digest("hex") });
