/** What a machine lacks, as the reason why something is not measured; null if it is there. */
import { spawnSync } from "node:child_process";

export function without(program: string): string | null {
  return spawnSync(program, ["--version"]).error === undefined ? null : `${program} is not on the PATH`;
}

/** @param python a Python that should have what the peers need */
export function withoutPeers(python: string): string | null {
  const look =
    "import importlib.util, sys; sys.exit(any(importlib.util.find_spec(name) is None for name in sys.argv[1:]))";
  const found = spawnSync(python, ["-c", look, "torch", "transformers"]).status === 0;
  return found ? null : `${python} has no PyTorch and transformers (bench/peers/README.md)`;
}
