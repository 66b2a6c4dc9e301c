/** Wrong calls: each is an error, and the ranks go on. Reports the errors' classes and messages. */
import { device, engine, native, rank, report, size, tensor } from "./rank.mjs";

const { Device, Tensor } = native;
const zeros = (n, dtype = "f32", on = device) => new Tensor(on, dtype, [n]);
const text = (error) => `${error.name}: ${error.message}`;
function refused(body) {
  try {
    body();
    return "nothing";
  } catch (error) {
    return text(error);
  }
}

const other = new Device(device.backend, 0, 3);
const input = zeros(4 * size);
const refusals = [
  () => native.reduceScatter(zeros(4), zeros(4 * size + 1), false),
  () => native.reduceScatter(zeros(4, "bf16"), input, false),
  () => native.reduceScatter(zeros(4), zeros(4 * size, "i32"), false),
  () => native.reduceScatter(input.narrow(0, 1, 4), input, false),
  // Another rank's block.
  () => native.reduceScatter(input.narrow(0, 4 * ((rank + 1) % size), 4), input, false),
  () => native.allGather(zeros(4 * size - 1), zeros(4), false),
  () => native.allGather(zeros(4 * size), zeros(4, "bf16"), false),
  () => native.allReduce(zeros(4, "bf16")),
  () => native.allReduce(zeros(4, "f32", other)),
  () => native.allReduce(null),
  () => native.awaitRanks(device, -1),
  () => native.awaitRanks(other, 0),
  () => native.joinRanks({}, "openmpi"),
  () => native.joinRanks(device, "nccl"),
  () => native.meetRanks(device, 2, 2, "", 0),
  () => native.meetRanks(device, 0, 1, null, 0),
].map(refused);

/** The device's next error. */
const failed = () =>
  device.synchronize().then(
    () => "nothing",
    (error) => text(error),
  );
const mismatches = [];
// Another size, and another operation, on rank 0.
native.allReduce(zeros(rank === 0 ? 4 : 5));
mismatches.push(await failed());
if (rank === 0) native.allReduce(zeros(4));
else native.reduceScatter(zeros(4), input, false);
mismatches.push(await failed());
// Beside computing.
native.allGather(zeros((rank + 1) * size), zeros(rank + 1), true);
native.awaitRanks(device, 0);
mismatches.push(await failed());
const again = await native.joinRanks(device, engine, 600);
const second = await native.joinRanks(other, engine, 600).then(
  () => "nothing",
  (error) => text(error),
);

// All is well with right calls after them.
const sum = tensor(Float32Array.of(rank + 1));
native.allReduce(sum);
const [after] = await sum.read();
report({ refusals, mismatches, again: [again.rank, again.size], second, after });
