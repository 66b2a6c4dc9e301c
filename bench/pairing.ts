/** Pairs our kernels with PyTorch's from the same run. */
import type { KernelTiming } from "../lib/bench/kernels/run.js";

/** A variant's time in PyTorch, or why there is none. */
export interface PeerTiming {
  readonly variant: string;
  readonly seconds?: number;
  /** The time is mostly the host's, for launching. */
  readonly launchBound?: boolean;
  readonly problem?: string;
}

export interface KernelRow extends KernelTiming {
  readonly peers: readonly PeerTiming[];
  /** Speedup over PyTorch's fastest variant; null if there is none to compare with. */
  readonly ratio: number | null;
}

/** The result of `bench/peers/torch_kernels.py`. */
export interface TorchKernels {
  readonly torch: string;
  readonly kernels: readonly (PeerTiming & Pick<KernelTiming, "name" | "shape">)[];
}

/** The key of a kernel's timing. */
export function kernelKey({ name, shape }: Pick<KernelTiming, "name" | "shape">): string {
  return `${name} ${Object.entries(shape)
    .map(([letter, size]) => `${letter}=${size}`)
    .join(" ")}`;
}

/** Our kernels, each with PyTorch's variants. */
export function pairKernels(ours: readonly KernelTiming[], theirs: TorchKernels | null): KernelRow[] {
  const peersByKey = new Map<string, PeerTiming[]>();
  for (const { name, shape, ...timing } of theirs?.kernels ?? []) {
    const key = kernelKey({ name, shape });
    peersByKey.set(key, [...(peersByKey.get(key) ?? []), timing]);
  }
  return ours.map((kernel) => {
    const peers = peersByKey.get(kernelKey(kernel)) ?? [];
    const times = peers.flatMap(({ seconds, launchBound }) => (seconds === undefined || launchBound ? [] : [seconds]));
    return { ...kernel, peers, ratio: times.length === 0 ? null : Math.min(...times) / kernel.seconds };
  });
}
