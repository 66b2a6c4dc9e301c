/**
 * Operations over all of a tensor of more than 2^31 elements: the first and the last row are compared with those of the
 * same numbers in a tensor of two rows. Run with NEXTPATCH_SIMT_SPARSE=1, which reserves memory without filling it, and
 * NEXTPATCH_SIMT_BLOCKS=ends, which leaves out the blocks between.
 */
import { native } from "./addon.mjs";

const { Device, Tensor } = native;
const device = new Device("simt", 0, 2);
const results = {};

const columns = 2048;
// RMSNorm's gradient has 528 blocks of 4 rows, which go on to further rows: the last row is to be the last block's.
const rows = 528 * 4 * 497;
const ends = [0, rows - 1];

const bf16 = (value) => new Uint16Array(new Float32Array([value]).buffer)[1];
const numbers = (count, seed) => Float32Array.from({ length: count }, (_, i) => (((i + seed) * 37) % 17) / 8 - 1);
/** [count, width]; a width of 0 is a tensor of one dimension. */
const make = (dtype, count, width = columns) => new Tensor(device, dtype, width === 0 ? [count] : [count, width]);
function filled(dtype, count, value) {
  const tensor = make(dtype, count, 0);
  native.fill(tensor, value);
  return tensor;
}

/** A tensor of all rows and one of the two, with the same numbers in the first and the last. */
function pair(dtype, seed, width = columns, valuesOf = numbers) {
  const [large, small] = [make(dtype, rows, width), make(dtype, 2, width)];
  ends.forEach((row, i) => {
    const values = valuesOf(width || 1, seed + i);
    const words =
      dtype === "bf16" ? Uint16Array.from(values, bf16) : dtype === "i32" ? Int32Array.from(values) : values;
    large.narrow(0, row, 1).write(words);
    small.narrow(0, i, 1).write(words);
  });
  return [large, small];
}

/** Whether the first and the last row hold the same bits as the two. */
async function same([large, small]) {
  for (const [i, row] of ends.entries()) {
    const left = await large.narrow(0, row, 1).read();
    const right = await small.narrow(0, i, 1).read();
    if (!left.every((value, at) => Object.is(value, right[at]))) return false;
  }
  return true;
}

/** Runs an operation on large tensors and on small ones; notes whether what it wrote is the same. */
async function check(name, tensors, operation, written) {
  for (const which of [0, 1]) operation(...tensors.map((tensor) => tensor[which]));
  results[name] = (await Promise.all(written.map(same))).every((is) => is);
  for (const tensor of tensors) for (const each of tensor) each.dispose();
}

{
  const x = pair("f32", 1);
  await check("fill", [x], (x) => native.fill(x, 2.5), [x]);
}
{
  const [out, x] = [pair("bf16", 1), pair("f32", 2)];
  await check("copy", [out, x], (out, x) => native.copy(out, x), [out]);
}
{
  const [out, x] = [pair("f32", 1), pair("f32", 2)];
  const part = (tensor, from) => tensor.narrow(1, from, 128); // at most what a block copies
  await check("strided copy", [out, x], (out, x) => native.copy(part(out, 0), part(x, 1)), [out]);
}
{
  const [out, sum, x, add] = [1, 2, 3, 4].map((seed) => pair("bf16", seed));
  const [rstd, weight] = [pair("f32", 5, 0), filled("bf16", columns, 1.5)];
  const run = (out, sum, x, add, rstd) => native.rmsNormForward(out, sum, rstd, x, add, weight, 1e-5, 0);
  await check("rmsNormForward", [out, sum, x, add, rstd], run, [out, sum, rstd]);
}
{
  const [dx, dout, sum] = [1, 2, 3].map((seed) => pair("bf16", seed));
  const [rstd, weight, dweight] = [pair("f32", 4, 0), filled("bf16", columns, 1.5), filled("f32", columns, 0)];
  const workspace = make("f32", native.rmsNormBackwardWorkspace(device, rows, columns), 0);
  const run = (dx, dout, sum, rstd) => native.rmsNormBackward(dx, dweight, dout, sum, rstd, weight, workspace, true, 0);
  await check("rmsNormBackward", [dx, dout, sum, rstd], run, [dx]);
}
{
  const [out, stream, x] = [1, 2, 3].map((seed) => pair("bf16", seed));
  const [rstd, weight] = [pair("f32", 4, 0), filled("bf16", columns, 0.5)];
  const run = (out, stream, x, rstd) => native.rmsNormResidualForward(out, rstd, stream, x, weight, 1e-5, 1);
  await check("rmsNormResidualForward", [out, stream, x, rstd], run, [out, rstd]);
}
{
  const [x, bias] = [pair("bf16", 1), filled("bf16", columns, 0.5)];
  await check("biasForward", [x], (x) => native.biasForward(x, bias), [x]);
}
{
  const [out, x] = [pair("bf16", 1), pair("bf16", 2)];
  const [rstd, weight] = [pair("f32", 3, columns / 128), filled("bf16", 128, 1.5)];
  const heads = (tensor) =>
    tensor.reshape([1, tensor.shape[0], columns / 128, tensor.size / tensor.shape[0] / (columns / 128)]);
  const run = (out, x, rstd) =>
    native.qkNormForward(heads(out), rstd.reshape([1, ...rstd.shape]), heads(x), weight, null, 0, 1e-5, 0);
  await check("qkNormForward", [out, x, rstd], run, [out, rstd]);
}
{
  const [out, gateUp] = [pair("bf16", 1), pair("bf16", 2, 2 * columns)];
  await check("swigluForward", [out, gateUp], (out, gateUp) => native.swigluForward(out, gateUp), [out]);
}
{
  const [dgateUp, gateUp] = [1, 2].map((seed) => pair("bf16", seed, 2 * columns));
  const dout = pair("bf16", 3);
  const run = (dgateUp, dout, gateUp) => native.swigluBackward(dgateUp, dout, gateUp);
  await check("swigluBackward", [dgateUp, dout, gateUp], run, [dgateUp]);
}
{
  const [losses, logits, coefficients] = [pair("f32", 1, 0), pair("bf16", 2), filled("f32", 1, 0.5)];
  const labels = pair("i32", 3, 1, (_, seed) => [seed * 7]);
  const run = (losses, logits, labels) => native.crossEntropy(losses, logits, labels, coefficients, true);
  await check("crossEntropy", [losses, logits, labels], run, [losses, logits]);
}
{
  const squares = (count, seed) => numbers(count, seed).map((x) => x * x);
  const state = [pair("bf16", 1), ...[2, 3, 4].map((seed) => pair("f32", seed)), pair("f32", 5, columns, squares)];
  const [norm, hyper] = [filled("f32", 1, 1), make("f32", 8, 0)];
  hyper.write(Float32Array.of(0.01, 0.9, 0.95, 1e-8, 0.1, 0, 0, 1));
  const run = (...tensors) => {
    const [param, grad, master, m, v] = tensors.map((tensor) => tensor.reshape([tensor.size]));
    const [steps, corrections] = [filled("i32", 1, 0), filled("f32", 2, 0)];
    native.adamw(param, master, m, v, steps, corrections, grad, norm, hyper, param.size);
  };
  const [param, , ...moments] = state;
  await check("adamw", state, run, [param, ...moments]);
}
await device.synchronize();
console.log(JSON.stringify(results));
