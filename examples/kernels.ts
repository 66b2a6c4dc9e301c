/**
 * The three kernels of patch-level training on your own tensors, each beside a loop that computes the same:
 * `npx tsx node_modules/nextpatch/examples/kernels.ts`. Prints every result's largest difference from the loop's.
 *
 * Every tensor is declared with `using`, which disposes of it at the end of its block: its memory is the next tensor's,
 * even while the device still computes with it. The last part is a loop that needs no more memory than its first round.
 */
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Device, flashAttention, patchCrossEntropy, patchEmbedding, Tensor } from "nextpatch/kernels";

const sequences = 2;
const positions = 33; // patches per sequence
const patchSize = 4; // tokens per patch
const vocabulary = 101;
const heads = 4;
const kvHeads = 2; // each serves two query heads
const headDim = 32;
const channels = heads * headDim;
const rows = sequences * positions;

export async function main(device: Device): Promise<Record<string, number>> {
  const differences: Record<string, number> = {};
  const compare = async (name: string, tensor: Tensor<"f32">, expected: ArrayLike<number>): Promise<void> => {
    const actual = await tensor.read();
    differences[name] = actual.reduce((largest, x, i) => Math.max(largest, Math.abs(x - expected[i]!)), 0);
  };
  const upload = (values: Float32Array, shape: readonly number[]): Tensor<"f32"> => {
    const tensor = new Tensor(device, "f32", shape);
    tensor.write(values);
    return tensor;
  };

  // ---- Patch embedding: the mean of the embeddings of every 4 tokens ----
  const ids = Int32Array.from({ length: rows * patchSize }, (_, i) => (i * i + 7 * i) % vocabulary);
  using tokens = new Tensor(device, "i32", [rows * patchSize]);
  tokens.write(ids);
  const embeddings = waves(vocabulary * channels, 1);
  using table = upload(embeddings, [vocabulary, channels]);
  using patches = patchEmbedding(tokens, table, { patchSize });
  await compare("patches", patches, embed(ids, embeddings));

  const upstreamOfPatches = waves(rows * channels, 2);
  using dpatches = upload(upstreamOfPatches, [rows, channels]);
  using dtable = patchEmbedding.backward(dpatches, tokens, { vocabulary });
  await compare("dtable", dtable, embedBackward(ids, upstreamOfPatches));

  // ---- Attention: the patches as queries, some of their heads as keys and values ----
  using q = patches.reshape([sequences, positions, heads, headDim]);
  using k = q.narrow(2, 0, kvHeads); // views: nothing is copied
  using v = q.narrow(2, kvHeads, kvHeads);
  const attended = flashAttention(q, k, v);
  using out = attended.out;
  using lse = attended.lse;
  const x = await patches.read();
  await compare("attention", out, attend(x));
  using dout = upload(waves(rows * channels, 3), [sequences, positions, heads, headDim]);
  const gradients = flashAttention.backward(dout, { q, k, v, out, lse });
  using dq = gradients.dq;
  using dk = gradients.dk;
  using dv = gradients.dv;

  // When q, k and v all grow by a factor s, the sum of dout * out changes by dq q + dk k + dv v.
  const upstream = await dout.read();
  const weighted = (s: number): number => dot(attend(Float64Array.from(x, (value) => value * s)), upstream);
  const slope = (weighted(1 + 1e-5) - weighted(1 - 1e-5)) / 2e-5;
  const headsOfX = (from: number, count: number): Float32Array =>
    x.filter((_, i) => Math.floor(i / headDim) % heads >= from && Math.floor(i / headDim) % heads < from + count);
  const along =
    dot(await dq.read(), x) +
    dot(await dk.read(), headsOfX(0, kvHeads)) +
    dot(await dv.read(), headsOfX(kvHeads, kvHeads));
  differences["attention's gradient along q, k and v"] = Math.abs(along - slope);

  // ---- Next-patch loss: each position's distribution against the 4 tokens of the next patch ----
  const labelIds = ids.map((_, i) =>
    Math.floor(i / patchSize) % positions === positions - 1 ? -100 : ids[i + patchSize]!,
  );
  using labels = new Tensor(device, "i32", [rows, patchSize]);
  labels.write(labelIds);
  const scores = waves(rows * vocabulary, 4).map((x) => 3 * x);
  using logits = upload(scores, [rows, vocabulary]);
  const result = patchCrossEntropy.backward(logits, labels);
  using loss = result.loss;
  using losses = result.losses;
  const expected = crossEntropy(scores, labelIds);
  await compare("loss", loss, [expected.loss]);
  await compare("dlogits", result.dlogits, expected.gradient); // the tensor logits itself, overwritten

  // ---- In a loop: results go to the tensors of the first round, and what is made in a round is disposed of ----
  // Nothing in it waits. The sum of the gradients of 20 batches stays on the device.
  const batches = Array.from({ length: 20 }, (_, batch) => ids.map((id) => (id + batch) % vocabulary));
  dtable.write(new Float32Array(dtable.size));
  for (const batch of batches) {
    using batchTokens = new Tensor(device, "i32", [rows * patchSize]);
    batchTokens.write(batch);
    patchEmbedding(batchTokens, table, { patchSize, out: patches }); // q, k and v are views of it
    flashAttention(q, k, v, { out: attended });
    flashAttention.backward(dout, { q, k, v, out, lse }, { out: gradients });
    using dx = dq.reshape([rows, channels]);
    patchEmbedding.backward(dx, batchTokens, { dtable }); // adds to it; `out: dtable` would overwrite it
    logits.write(scores);
    patchCrossEntropy.backward(logits, labels, { out: { loss, losses } });
  }
  const last = batches.at(-1)!;
  await compare("attention of the last batch", out, attend(embed(last, embeddings)));
  await compare("loss of the last batch", loss, [expected.loss]);
  return differences;
}

function embed(ids: Int32Array, table: Float32Array): Float64Array {
  const out = new Float64Array(rows * channels);
  for (let i = 0; i < ids.length; ++i) {
    const row = Math.floor(i / patchSize);
    for (let c = 0; c < channels; ++c) out[row * channels + c]! += table[ids[i]! * channels + c]! / patchSize;
  }
  return out;
}

function embedBackward(ids: Int32Array, dout: Float32Array): Float64Array {
  const dtable = new Float64Array(vocabulary * channels);
  for (let i = 0; i < ids.length; ++i) {
    const row = Math.floor(i / patchSize);
    for (let c = 0; c < channels; ++c) dtable[ids[i]! * channels + c]! += dout[row * channels + c]! / patchSize;
  }
  return dtable;
}

/** x [sequences, positions, heads, headDim] as queries; its first two heads as keys, its last two as values. */
function attend(x: Float32Array | Float64Array): Float64Array {
  const head = (b: number, t: number, h: number): typeof x => {
    const start = ((b * positions + t) * heads + h) * headDim;
    return x.subarray(start, start + headDim);
  };
  const out = new Float64Array(rows * channels);
  for (let b = 0; b < sequences; ++b) {
    for (let t = 0; t < positions; ++t) {
      for (let h = 0; h < heads; ++h) {
        const kvHead = Math.floor(h / (heads / kvHeads));
        const weights = Array.from({ length: t + 1 }, (_, s) =>
          Math.exp(dot(head(b, t, h), head(b, s, kvHead)) / Math.sqrt(headDim)),
        );
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const to = ((b * positions + t) * heads + h) * headDim;
        weights.forEach((weight, s) =>
          head(b, s, kvHeads + kvHead).forEach((value, d) => (out[to + d]! += (weight / total) * value)),
        );
      }
    }
  }
  return out;
}

function crossEntropy(scores: Float32Array, labels: Int32Array): { loss: number; gradient: Float64Array } {
  const gradient = new Float64Array(rows * vocabulary);
  const predicting = sequences * (positions - 1); // rows with a next patch
  let loss = 0;
  for (let row = 0; row < rows; ++row) {
    const exponentials = Float64Array.from(scores.subarray(row * vocabulary, (row + 1) * vocabulary), Math.exp);
    const total = exponentials.reduce((sum, x) => sum + x, 0);
    for (let j = 0; j < patchSize; ++j) {
      const label = labels[row * patchSize + j]!;
      if (label < 0) continue;
      const weight = 1 / patchSize / predicting;
      loss -= weight * Math.log(exponentials[label]! / total);
      gradient[row * vocabulary + label]! -= weight; // a token that repeats in a patch counts each time
      exponentials.forEach((x, i) => (gradient[row * vocabulary + i]! += (weight * x) / total));
    }
  }
  return { loss, gradient };
}

/** Arbitrary numbers in [-1, 1]. */
function waves(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(seed + 1.7 * i + 1e-3 * i * i));
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; ++i) sum += a[i]! * b[i]!;
  return sum;
}

// The path that was typed may lead through a link, as in a project of pnpm.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const device = Device.open("auto");
  process.stdout.write(`${device.name}: largest difference from a plain loop\n`);
  for (const [name, difference] of Object.entries(await main(device))) {
    process.stdout.write(`  ${name}: ${difference.toExponential(1)}\n`);
  }
}
