import { type Device, native, Tensor } from "../native.js";

/** Dense bf16 peaks in FLOP/s from NVIDIA's data sheets: the usual denominator of MFU. */
const dataSheet: readonly (readonly [RegExp, number])[] = [
  [/H100 PCIe/, 756e12],
  [/H100 NVL/, 835e12],
  [/H100|H200|GH200/, 989e12],
  [/\bB200/, 2250e12], // at 1,000 W; a GB200 has more
  [/A100|A800/, 312e12],
  [/L40S/, 362e12],
  [/RTX 4090/, 165e12],
];

/** The data sheet's dense bf16 peak of a GPU in FLOP/s; undefined: no data sheet is known. */
export function dataSheetPeak(name: string): number | undefined {
  return dataSheet.find(([names]) => names.test(name))?.[1];
}

/** How long a rate is measured if no data sheet has it, and the least number of rounds. */
const measuringMs = 250;
const leastRounds = 5;

/**
 * The denominator of a run's MFU, in FLOP/s: the data sheet's peak for a known GPU in bf16, else the fastest of a few
 * large square products measured now, after all enqueued work has finished. null on `simt`, whose speed is meaningless.
 */
export async function peakFlops(device: Device, dtype: "f32" | "bf16"): Promise<number | null> {
  if (device.backend === "simt") return null;
  const known = dataSheetPeak(device.name);
  if (known !== undefined && dtype === "bf16") return known;
  // On a GPU a product is so short that the wait matters, so a round has several; on a CPU it is so long that other
  // programs may interrupt it, so a round has one.
  const { size, perRound } = device.backend === "cuda" ? { size: 4096, perRound: 4 } : { size: 1024, perRound: 1 };
  using a = new Tensor(device, "f32", [size, size]);
  using b = new Tensor(device, dtype, [size, size]);
  using c = new Tensor(device, dtype, [size, size]);
  native.normal(a, 1, 0, 0);
  native.copy(b, a);
  const products = async (count: number) => {
    for (let product = 0; product < count; product++) native.matmul(c, b, b, false, true, false);
    await device.synchronize();
  };
  // Earlier work must not count, nor the first product, for which libraries load and compile code.
  await products(1);
  // The best of many rounds: on a shared machine, most are disturbed.
  let best = Number.POSITIVE_INFINITY;
  const begin = performance.now();
  for (let round = 0; round < leastRounds || performance.now() - begin < measuringMs; round++) {
    const start = performance.now();
    await products(perRound);
    best = Math.min(best, (performance.now() - start) / 1000 / perRound);
  }
  return (2 * size ** 3) / best;
}
