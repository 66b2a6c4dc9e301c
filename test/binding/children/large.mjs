/**
 * Operations on tensors of more than 2^31 elements, of which only a few rows are touched: each result is compared with
 * that of the same numbers in small tensors. The argument is the backend: simt with NEXTPATCH_SIMT_SPARSE=1, which
 * reserves memory without filling it, or cuda on a GPU with 32 GiB to spare.
 */
import { native } from "./addon.mjs";

const { Device, Tensor } = native;
const device = new Device(process.argv[2], 0, 2);
const results = {};

const bf16 = (value) => new Uint16Array(new Float32Array([value]).buffer)[1];
const numbers = (count, seed) => Uint16Array.from({ length: count }, (_, i) => bf16((((i + seed) * 37) % 17) / 8 - 1));

/** Whether two tensors hold the same numbers. */
async function same(a, b) {
  const [left, right] = [await a.read(), await b.read()];
  return left.length === right.length && left.every((value, i) => value === right[i]);
}

/** Whether two tensors hold the same numbers, but for the rounding of bf16: rows that are far apart take other kernels. */
async function close(a, b) {
  const [left, right] = [await a.read(), await b.read()];
  return left.every((value, i) => Math.abs(value - right[i]) < 0.01);
}

/** A contiguous copy of a view. */
function contiguous(view) {
  const out = new Tensor(device, view.dtype, view.shape);
  native.copy(out, view);
  return out;
}

// Patch embedding: rows of a table of 2^32 elements, the last one included.
{
  const [V, C] = [2 ** 21, 2048];
  const table = new Tensor(device, "bf16", [V, C]);
  const ids = [0, V - 1, 2 ** 20, V - 2];
  const small = new Tensor(device, "bf16", [4, C]);
  ids.forEach((id, row) => {
    table.narrow(0, id, 1).write(numbers(C, row));
    small.narrow(0, row, 1).write(numbers(C, row));
  });
  const [tokens, smallTokens] = [new Tensor(device, "i32", [4]), new Tensor(device, "i32", [4])];
  tokens.write(Int32Array.from(ids));
  smallTokens.write(Int32Array.of(0, 1, 2, 3));
  const [out, expected] = [new Tensor(device, "bf16", [2, C]), new Tensor(device, "bf16", [2, C])];
  native.patchEmbeddingForward(out, tokens, table, 1);
  native.patchEmbeddingForward(expected, smallTokens, small, 1);
  results.patchEmbeddingForward = await same(out, expected);
  const dtable = new Tensor(device, "f32", [V, C]);
  for (const id of ids) native.fill(dtable.narrow(0, id, 1), 0);
  const workspace = new Tensor(device, "i32", [native.patchEmbeddingBackwardWorkspace(device, 4, V)]);
  native.patchEmbeddingBackward(dtable, out, tokens, workspace, 1);
  const smallGradient = new Tensor(device, "f32", [4, C]);
  native.fill(smallGradient, 0);
  const smallWorkspace = new Tensor(device, "i32", [native.patchEmbeddingBackwardWorkspace(device, 4, 4)]);
  native.patchEmbeddingBackward(smallGradient, out, smallTokens, smallWorkspace, 1);
  const rows = await Promise.all(ids.map((id, row) => same(dtable.narrow(0, id, 1), smallGradient.narrow(0, row, 1))));
  results.patchEmbeddingBackward = rows.every((is) => is);
  for (const tensor of [table, dtable]) tensor.free();
  device.trim();
}

// Strided views whose rows or sequences are more than 2^31 elements apart: q, k and v as [B, T, H, D], cut from one
// larger tensor as from a fused projection.
const [B, T, H, D] = [2, 3, 2, 64];
function apart(dimension) {
  const far = 2 ** 31 / D + 2; // rows of D between two neighbours
  const heads = 3 * H;
  const shape = dimension === 0 ? [B, Math.ceil(far / heads) + T, heads, D] : [B, T, far + heads, D];
  const fused = new Tensor(device, "bf16", shape);
  const parts = [0, 1, 2].map((part) => {
    const view = fused.narrow(1, 0, T).narrow(2, part * H, H);
    const small = new Tensor(device, "bf16", [B, T, H, D]);
    small.write(numbers(B * T * H * D, part + 1));
    native.copy(view, small);
    return { view, small };
  });
  return { fused, parts };
}
for (const [name, dimension] of [
  ["sequences", 0],
  ["rows", 1],
]) {
  const { fused, parts } = apart(dimension);
  const [q, k, v] = parts;
  results[`copy, ${name}`] = await same(contiguous(q.view), q.small);
  const table = new Tensor(device, "f32", [3, D / 2, 2]);
  const frequencies = new Tensor(device, "f32", [D / 2]);
  frequencies.write(new Float32Array(D / 2).fill(0.3));
  native.rotaryTable(table, frequencies, 1);
  for (const { view, small } of [q, k]) for (const x of [view, small]) native.rotary(x, table, 0, false);
  results[`rotary, ${name}`] = await same(contiguous(q.view), q.small);
  const attention = (q, k, v) => {
    const make = (dtype, shape) => new Tensor(device, dtype, shape);
    const [out, lse] = [make("bf16", [2, 3, 2, D]), make("f32", [2, 2, 3])];
    native.attentionForward(out, lse, q, k, v, 0.125, 0);
    const gradients = [q, k, v].map(() => make("bf16", [2, 3, 2, D]));
    const workspace = make("f32", [native.attentionBackwardWorkspace(device, 2, 3, 3, 2, 2, D)]);
    native.attentionBackward(...gradients, out, q, k, v, out, lse, workspace, null, 0.125, 0);
    return [out, lse, ...gradients];
  };
  const far = attention(q.view, k.view, v.view);
  const near = attention(q.small, k.small, v.small);
  const right = await Promise.all(far.map((x, i) => close(x, near[i])));
  results[`attentionForward, ${name}`] = right.slice(0, 2).every((is) => is);
  results[`attentionBackward, ${name}`] = right.slice(2).every((is) => is);
  fused.free();
  device.trim();
}
// Matrices of a stack that lie more than 2^31 elements apart: once as the momentum, once as the weights.
{
  const E = 2048;
  const numbers = (seed) => Float32Array.from({ length: 2 * E }, (_, i) => (((i + seed) * 37) % 17) / 8 - 1);
  const far = new Tensor(device, "f32", [2, 2 ** 31 + 4]).narrow(1, 0, E);
  const near = new Tensor(device, "f32", [2, E]);
  const fill = (seed) => {
    near.write(numbers(seed));
    native.copy(far, near);
  };
  const grad = new Tensor(device, "f32", [2, E]);
  grad.write(numbers(1));
  const [norm, hyper] = [new Tensor(device, "f32", [1]), new Tensor(device, "f32", [4])];
  norm.write(Float32Array.of(1));
  hyper.write(Float32Array.of(0.02, 0.95, 0.1, 0));
  const workspace = new Tensor(device, "f32", [native.muonMomentumWorkspace(device, 2, E)]);
  const [update, expected] = [0, 1].map(() => new Tensor(device, "f32", [2, E]));
  fill(2);
  native.muonMomentum(update, far, grad, norm, hyper, workspace, true);
  native.muonMomentum(expected, near, grad, norm, hyper, workspace, true);
  results.muonMomentum = (await same(update, expected)) && (await same(contiguous(far), near));
  fill(3);
  native.muonUpdate(far, far, update, norm, hyper, 1);
  native.muonUpdate(near, near, update, norm, hyper, 1);
  results.muonUpdate = await same(contiguous(far), near);
  far.free();
  device.trim();
}
await device.synchronize();
console.log(JSON.stringify(results));
if (!Object.values(results).every((right) => right)) process.exitCode = 1;
