/**
 * A training loop on several ranks: each has the whole model and computes the gradient of its part of the step's
 * sequences, and the sum of all gradients makes the same update everywhere.
 * `mpirun -n 2 npx tsx node_modules/nextpatch/examples/data_parallel.ts`.
 */
import { AdamW, Device, Llama, Ranks, TrainingPass } from "nextpatch";

const shape = {
  vocab_size: 97,
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 2,
};
const settings = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, gradClip: 1 } as const;
const [sequencesPerStep, positions, patchSize, steps] = [12, 16, 4, 20];

const device = Device.open("cpu");
const ranks = await Ranks.join(device);
if (sequencesPerStep % ranks.size !== 0) throw new Error(`${sequencesPerStep} sequences on ${ranks.size} ranks`);

// The same seed everywhere: all ranks begin with the same parameters.
const model = Llama.create(shape, { device, precision: "fp32", seed: 1 });
const optimizer = new AdamW(model.parameters);
// A share of 1/N each, so that the sums of loss and gradient are the means over the whole step.
const sequences = sequencesPerStep / ranks.size;
const pass = new TrainingPass(model, optimizer.gradient, { sequences, positions, patchSize, share: 1 / ranks.size });

for (let step = 0; step < steps; step++) {
  optimizer.zeroGradient();
  pass.run(tokensOf(step * sequencesPerStep + ranks.rank * sequences, sequences));
  ranks.allReduce(optimizer.gradient);
  ranks.allReduce(pass.loss);
  optimizer.step(1e-2, settings);
  const [loss] = await pass.loss.read(); // waits for the step, and for the other ranks'
  if (ranks.rank === 0) process.stdout.write(`step ${step + 1}: ${loss!.toFixed(6)}\n`);
}

/** A toy language: each sequence counts up from a start of its own. */
function tokensOf(first: number, count: number): Int32Array {
  const length = positions * patchSize;
  return Int32Array.from({ length: count * length }, (_, i) => {
    const sequence = first + Math.floor(i / length);
    return ((i % length) + 31 * sequence) % shape.vocab_size;
  });
}
