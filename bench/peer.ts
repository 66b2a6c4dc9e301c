/** The Python with PyTorch, and commands whose last line is JSON. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Peer {
  readonly python: string;
  /** Versions of Python, PyTorch, transformers, and PyTorch's oneDNN. */
  readonly versions: Readonly<Record<"python" | "torch" | "transformers" | "oneDNN", string>>;
}

/** Where bench/peers/README.md installs the peer. */
const installed = fileURLToPath(new URL("../.venv-peers/bin/python", import.meta.url));

const probe = `
import json, platform, re, torch, transformers
onednn = re.search(r"MKL-DNN v([\\d.]+)", torch.__config__.show())
print(json.dumps({"python": platform.python_version(), "torch": torch.__version__,
                  "transformers": transformers.__version__, "oneDNN": onednn[1] if onednn else "none"}))`;

/**
 * The peer in the given Python, or in .venv-peers; without either, why there is none.
 * @throws Error if `python` was given and cannot import PyTorch and transformers
 */
export function findPeer(python: string | undefined, standard = installed): { peer: Peer | null; problem: string } {
  const chosen = python ?? standard;
  if (python === undefined && !existsSync(chosen)) {
    return { peer: null, problem: `${chosen} is not there (bench/peers/README.md says how to make it)` };
  }
  return { peer: { python: chosen, versions: lastJson(chosen, ["-c", probe]) }, problem: "" };
}

/** The JSON in a command's last line on stdout. @throws Error with the end of its output if it fails */
export function lastJson<T>(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): T {
  let text: string;
  try {
    text = execFileSync(command, args, {
      encoding: "utf8",
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: 2 ** 28,
    });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr: string | null };
    throw new Error(`${command}: ${stderr?.trim().split("\n").at(-1) || message}`, { cause: error });
  }
  return JSON.parse(text.trim().split("\n").at(-1)!) as T;
}

/** Runs the built `nextpatch` with --json. */
export function nextpatch<T>(args: readonly string[], threads: number): T {
  const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
  return lastJson(process.execPath, [main, ...args, "--device", "cpu", "--json"], { OMP_NUM_THREADS: String(threads) });
}

/** Runs a script of bench/peers. */
export function runPeer<T>({ python }: Peer, script: string, args: readonly string[], threads: number): T {
  const path = fileURLToPath(new URL(`peers/${script}`, import.meta.url));
  const all = [path, ...args, "--threads", String(threads)];
  return lastJson(python, all, { OMP_NUM_THREADS: String(threads) });
}
