/**
 * A custom training loop, a few steps in two stages: patches of 4 tokens, then token by token.
 * `npx tsx node_modules/nextpatch/examples/loop.ts`.
 */
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { AdamW, Device, Llama, learningRate, TrainingPass } from "nextpatch";

const shape = {
  vocab_size: 97,
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 2,
};
const stages = [
  { patchSize: 4, steps: 30 },
  { patchSize: 1, steps: 30 },
];
const schedule = { type: "cosine", warmupSteps: 3, minLrRatio: 0.1, decayFraction: 0 } as const;
const settings = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, gradClip: 1 } as const;
const [sequences, positions, batchesPerStep] = [4, 16, 2];

/** Trains, and returns the loss of every step in nats per token. */
export async function main(device: Device): Promise<number[]> {
  using model = Llama.create(shape, { device, seed: 1 });
  using optimizer = new AdamW(model.parameters);
  const losses: number[] = [];
  for (const { patchSize, steps } of stages) {
    const batch = { sequences, positions, patchSize, share: 1 / batchesPerStep };
    using pass = new TrainingPass(model, optimizer.gradient, batch);
    optimizer.reset(); // fresh moments, as in the paper
    for (let step = 0; step < steps; step++) {
      optimizer.zeroGradient();
      for (let part = 0; part < batchesPerStep; part++) {
        const seed = losses.length * batchesPerStep + part;
        pass.run(countingTokens(sequences * positions * patchSize, seed), { accumulate: part > 0 });
      }
      optimizer.step(learningRate(schedule, 1e-2, step, steps), settings);
      const [loss] = await pass.loss.read(); // waits for the step
      losses.push(loss!);
    }
  }
  return losses;
}

/** A toy language: counting up from an arbitrary start. */
function countingTokens(count: number, seed: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (i + 31 * seed) % shape.vocab_size);
}

// The path that was typed may lead through a link, as in a project of pnpm.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const losses = await main(Device.open("auto"));
  losses.forEach((loss, index) => process.stdout.write(`step ${index + 1}: ${loss.toFixed(4)}\n`));
}
