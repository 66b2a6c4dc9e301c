/** The time of a collective operation on a ring of GPUs. */
import type { Gpu, GpuLink } from "./gpus.js";

/** GPUs, and what links them. */
export interface Cluster {
  readonly gpu: Gpu;
  readonly gpus: number;
  readonly gpusPerNode: number;
  /** Of each GPU's way out of its node, in one direction; null: there is one node. */
  readonly netBytesPerSecond: number | null;
}

/** A ring through all GPUs, which enters and leaves each node once on every GPU's way out. */
export interface Ring {
  readonly gpus: number;
  /** Of what each GPU sends on, all its channels together. */
  readonly bytesPerSecond: number;
  readonly limitedBy: GpuLink["kind"] | "network";
  /** Of a collective, whatever its size. */
  readonly latencySeconds: number;
}

/**
 * The share of a link's data sheet that a ring reaches. NCCL itself reckons with 20.6 of 25 GB/s for each NVLink of an
 * H100 and with 40.1 of 50 GB/s for a B200's (src/graph/topo.h).
 */
const ringShare = 0.8;

/** NCCL's own latencies of its ring, protocol Simple: of a call, and of each hop (src/graph/tuning.cc). */
const latency = { call: 8.4e-6, NVLink: 3.4e-6, PCIe: 5.7e-6, net: 14e-6 } as const;

export function nodesOf({ gpus, gpusPerNode }: Pick<Cluster, "gpus" | "gpusPerNode">): number {
  return Math.ceil(gpus / gpusPerNode);
}

/** The ring of a cluster whose nodes are all full, or of one node. */
export function ringOf(cluster: Cluster): Ring {
  const { gpu, gpus, gpusPerNode, netBytesPerSecond } = cluster;
  const nodes = nodesOf(cluster);
  // Each of a node's GPUs has a network card, and the ring uses them all at once.
  const across = nodes === 1 ? Number.POSITIVE_INFINITY : gpusPerNode * netBytesPerSecond!;
  const within = gpusPerNode === 1 && nodes > 1 ? Number.POSITIVE_INFINITY : gpu.link.bytesPerSecond;
  const latencySeconds = latency.call + (gpus - nodes) * latency[gpu.link.kind] + (nodes - 1) * latency.net;
  const limitedBy = across < within ? "network" : gpu.link.kind;
  return { gpus, bytesPerSecond: ringShare * Math.min(within, across), limitedBy, latencySeconds };
}

/** Bytes that each GPU sends in a reduce-scatter or an all-gather of this many. */
export function sentBytes({ gpus }: Pick<Ring, "gpus">, bytes: number): number {
  return (bytes * (gpus - 1)) / gpus;
}

/** Seconds of a reduce-scatter or an all-gather. */
export function collectiveSeconds(ring: Ring, bytes: number): number {
  return ring.gpus === 1 ? 0 : sentBytes(ring, bytes) / ring.bytesPerSecond + ring.latencySeconds;
}
