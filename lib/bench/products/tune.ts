import type { RunConfig } from "../../config/config.js";
import type { Device } from "../../device.js";
import type { SeenProduct } from "../../native.js";
import { Llama } from "../../nn/llama.js";
import { type ProductTable, placeOf, type TunedProduct } from "../../train/product_table.js";
import { closeRunData, openRunData } from "../../train/run_data.js";
import { planConfig } from "../../train/run_plan.js";
import { RunProducts } from "../../train/run_products.js";
import { Stepper } from "../../train/stepper.js";
import { type Candidate, type CandidateTiming, nameOf, timeCandidates } from "./candidates.js";

export interface TuneOptions {
  readonly log?: (message: string) => void;
  /** Called with the number of products timed, the total, and the name of the last. */
  readonly onProduct?: (done: number, of: number, name: string) => void;
  readonly timing?: CandidateTiming;
}

const usualTiming: CandidateTiming = { seconds: 2e-3, rounds: 7 };

/** Another algorithm is taken if it is faster than the library's first choice by more than this part, which is noise. */
const leastGain = 0.01;

/**
 * Finds the matrix products of a config's training and evaluation, and times the algorithms of each. They are found by
 * a step of every stage on random tokens, with the memory that the run would have; for the timing it is free.
 * @param device one with a `productLibrary`
 * @throws ConfigError, DataError, CheckpointError, DeviceError, OutOfMemoryError
 */
export async function tuneProducts(
  config: RunConfig,
  device: Device,
  { log = () => undefined, onProduct, timing = usualTiming }: TuneOptions = {},
): Promise<ProductTable> {
  await using _products = await RunProducts.open(device, null);
  const seen = await productsOf(config, device);
  device.trim();
  const products: TunedProduct[] = [];
  for (const [index, { inTable: _, ...product }] of seen.entries()) {
    const candidates = await timeCandidates(device, seen[index]!, timing);
    const chosen = choose(candidates);
    if (chosen === null) {
      log(`${nameOf(product)}: no algorithm gives the same bits every time; the product is left out`);
    } else {
      const hex = (algorithm: Uint8Array) => Buffer.from(algorithm).toString("hex");
      products.push({
        ...product,
        algorithm: hex(chosen.algorithm),
        candidates: candidates.map(({ algorithm, seconds }) => ({ algorithm: hex(algorithm), seconds })),
      });
    }
    onProduct?.(index + 1, seen.length, nameOf(product));
  }
  device.trim();
  return { ...placeOf(device), products };
}

/** The products of a step of each stage, and of an evaluation. */
async function productsOf(config: RunConfig, device: Device): Promise<SeenProduct[]> {
  const data = await openRunData(config);
  const planned = await planConfig(config, device, data).finally(() => closeRunData(data));
  const { stages, shape, heldOut, plan } = planned;
  using model = Llama.create(shape, { device, precision: config.precision, seed: 0 });
  using stepper = new Stepper(model, plan, stages, heldOut);
  for (const { index, tokensPerStep } of stages) {
    const tokens = Int32Array.from({ length: tokensPerStep }, () => Math.floor(Math.random() * shape.vocab_size));
    await stepper.step(index, tokens, 0);
  }
  await stepper.evaluate();
  return device.products();
}

/** The fastest, or the first if it is about as fast; null if none runs. */
export function choose(candidates: readonly Candidate[]): Candidate | null {
  const running = candidates.filter(({ seconds }) => seconds !== null);
  const [first] = running;
  if (first === undefined) return null;
  const best = running.reduce((a, b) => (b.seconds! < a.seconds! ? b : a));
  return best.seconds! < first.seconds! * (1 - leastGain) ? best : first;
}
