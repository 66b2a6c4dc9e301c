/** Every operation of a training step on the CPU, ours and PyTorch's. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Ceilings } from "../lib/bench/ceilings.js";
import type { KernelBenchResult } from "../lib/bench/kernels/run.js";
import { type KernelRow, kernelKey, pairKernels, type TorchKernels } from "./pairing.js";
import { nextpatch, type Peer, runPeer } from "./peer.js";

export interface KernelComparison {
  readonly dtype: string;
  readonly ceilings: Ceilings;
  readonly rows: readonly KernelRow[];
}

export function kernelComparison({
  peer,
  threads,
  log,
}: {
  peer: Peer | null;
  threads: number;
  log: (message: string) => void;
}): KernelComparison {
  log("kernels: nextpatch");
  const ours = nextpatch<KernelBenchResult>(["bench", "kernels"], threads);
  let theirs: TorchKernels | null = null;
  if (peer !== null) {
    log("kernels: PyTorch");
    const scratch = mkdtempSync(join(tmpdir(), "nextpatch-bench-"));
    try {
      const like = join(scratch, "ours.json");
      writeFileSync(like, JSON.stringify(ours));
      theirs = runPeer<TorchKernels>(peer, "torch_kernels.py", ["--like", like, "--device", "cpu"], threads);
    } finally {
      rmSync(scratch, { recursive: true });
    }
  }
  return { dtype: ours.dtype, ceilings: ours.ceilings, rows: pairKernels(ours.kernels, theirs) };
}

/** A table in Markdown, with the peer's fastest variant. */
export function kernelLines({ dtype, rows }: KernelComparison): string[] {
  const us = (seconds: number) => (1e6 * seconds).toFixed(1);
  return [
    `| kernel (${dtype}) | nextpatch, us | of the ceiling | PyTorch, us | ratio | the peer's best variant |`,
    "|---|---|---|---|---|---|",
    ...rows.map((row) => {
      const timed = row.peers.filter(({ seconds }) => seconds !== undefined);
      const best = timed.sort((a, b) => a.seconds! - b.seconds!)[0];
      const theirs = best ? [us(best.seconds!), row.ratio!.toFixed(2), best.variant] : ["–", "–", "–"];
      const share = `${(100 * row.fractionOfCeiling).toFixed(0)} %`;
      return `| ${[kernelKey(row), us(row.seconds), share, ...theirs].join(" | ")} |`;
    }),
  ];
}
