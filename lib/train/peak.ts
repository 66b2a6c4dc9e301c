import { native, Tensor, type Device } from "../native.js";

/** Dense bf16 peaks in FLOP/s from NVIDIA's data sheets: what MFU is conventionally a fraction of. */
const dataSheet: readonly (readonly [RegExp, number])[] = [
  [/H100 PCIe/, 756e12],
  [/H100|H200|GH200/, 989e12],
  [/A100|A800/, 312e12],
  [/L40S/, 362e12],
  [/RTX 4090/, 165e12],
];

/** How long a rate is measured, where it has to be. */
const measuringMs = 250;

/**
 * The rate that a run's MFU is a fraction of, in FLOP/s: the data sheet's for a known GPU in bf16, else the fastest of
 * a few large square products measured here and now. null on `simt`, where speed means nothing.
 */
export async function peakFlops(device: Device, dtype: "f32" | "bf16"): Promise<number | null> {
  if (device.backend === "simt") return null;
  const known = dataSheet.find(([name]) => name.test(device.name));
  if (known && dtype === "bf16") return known[1];
  const size = device.backend === "cuda" ? 4096 : 1024;
  using a = new Tensor(device, "f32", [size, size]);
  using b = new Tensor(device, dtype, [size, size]);
  using c = new Tensor(device, dtype, [size, size]);
  native.normal(a, 1, 0, 0);
  native.copy(b, a);
  // The best of many rounds: on a machine that others use too, most are disturbed.
  let best = Number.POSITIVE_INFINITY;
  const begin = performance.now();
  while (performance.now() - begin < measuringMs) {
    await device.synchronize();
    const start = performance.now();
    native.matmul(c, b, b, false, true, false);
    await device.synchronize();
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  return (2 * size ** 3) / best;
}
