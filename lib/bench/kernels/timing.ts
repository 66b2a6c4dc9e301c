import type { Device } from "../../native.js";

/** How long and how often to time. */
export interface TimingOptions {
  /** The least seconds that a timed batch of calls lasts. */
  readonly batchSeconds: number;
  /** Batches; the result is the median of their means. */
  readonly batches: number;
}

/** The most operations in one recorded graph: a batch that needs more replays it. */
const graphCalls = 256;

/**
 * Seconds per call, one number per batch. The calls are recorded once (a CUDA graph on a GPU, which leaves no gaps
 * between launches) and the graph is launched as often as a batch needs; the wall clock runs from the first launch
 * until the device has finished. A batch is long compared with a launch and the final wait, so the host's clock is
 * enough.
 *
 * @param calls what to time, in turn: each enqueues one call, on its own inputs
 */
export async function timeCalls(
  device: Device,
  calls: readonly (() => void)[],
  { batchSeconds, batches }: TimingOptions,
): Promise<number[]> {
  const all = () => calls.forEach((call) => call());
  all(); // the first run is slower: products search for an algorithm, memory is first touched
  const once = await elapsed(device, all);
  const most = Math.max(1, Math.floor(graphCalls / calls.length));
  const rounds = Math.min(most, Math.max(1, Math.ceil(batchSeconds / once)));
  device.beginCapture();
  for (let round = 0; round < rounds; round++) all();
  const graph = device.endCapture();
  try {
    const estimate = await elapsed(device, () => graph.launch());
    const launches = Math.max(1, Math.ceil(batchSeconds / estimate));
    const times: number[] = [];
    for (let batch = 0; batch < batches; batch++) {
      const seconds = await elapsed(device, () => {
        for (let launch = 0; launch < launches; launch++) graph.launch();
      });
      times.push(seconds / (launches * rounds * calls.length));
    }
    return times;
  } finally {
    graph.dispose();
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

async function elapsed(device: Device, enqueue: () => void): Promise<number> {
  await device.synchronize();
  const start = performance.now();
  enqueue();
  await device.synchronize();
  return (performance.now() - start) / 1000;
}
