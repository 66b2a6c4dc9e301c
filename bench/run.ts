/**
 * `npm run bench`: times every operation of a training step, and whole training steps, on this machine's CPU, ours and
 * PyTorch's in turn.
 *
 *     npm run bench [-- --python .venv-peers/bin/python] [--rounds 3] [--steps 3] [--threads 2]
 *                   [--out bench/results/NAME.json]
 *
 * Without --python the peer is .venv-peers/bin/python (bench/peers/README.md); if that is missing, only ours is timed.
 * The tables go to stdout; --out writes every measured number to a file. For GPUs there is bench/gpu.sh.
 */
import { writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { parseArgs } from "node:util";
import { native } from "../lib/native.js";
import { readCommit } from "../lib/train/environment.js";
import { kernelComparison, kernelLines } from "./kernels.js";
import { findPeer } from "./peer.js";
import { trainComparison, trainLines } from "./train.js";

const { values: flags } = parseArgs({
  options: {
    python: { type: "string" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "3" },
    threads: { type: "string", default: String(availableParallelism()) },
    out: { type: "string" },
  },
});
const [rounds, steps, threads] = [flags.rounds, flags.steps, flags.threads].map((text) => {
  if (!/^[1-9]\d*$/.test(text))
    throw new Error(`--rounds, --steps, --threads: expected a whole number but received "${text}"`);
  return Number(text);
}) as [number, number, number];

const log = (message: string) => process.stderr.write(`${message}\n`);
const print = (lines: readonly string[]) => process.stdout.write(`${lines.join("\n")}\n`);

const date = new Date().toISOString();
const { peer, problem } = findPeer(flags.python);
log(peer ? `peer: ${peer.python}, PyTorch ${peer.versions.torch}` : `no peer, nextpatch alone: ${problem}`);

const kernels = kernelComparison({ peer, threads, log });
print(kernelLines(kernels));
const train = trainComparison({ peer, threads, rounds, steps, log });
print(["", ...trainLines(train)]);

const result = {
  date,
  commit: await readCommit(),
  machine: { processor: cpus()[0]!.model.trim(), threads },
  versions: {
    node: process.version,
    nextpatch: native.backends().find(({ name }) => name === "cpu")!.versions,
    pytorch: peer?.versions ?? null,
  },
  kernels,
  train,
};
if (flags.out !== undefined) writeFileSync(flags.out, `${JSON.stringify(result, null, 1)}\n`);
