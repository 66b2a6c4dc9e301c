/** Ranks of one machine that talk by the fake NCCL: processes that find one another by TCP, on simulated devices. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe } from "@jest/globals";
import { freePort } from "../../lib/cli/free_port.js";

const library = fileURLToPath(new URL("../../build/Release/libfake_nccl.so", import.meta.url));

/** Tests that need it, which is built with the simulated device. */
export function describeNccl(title: string, tests: () => void): void {
  (existsSync(library) ? describe : describe.skip)(title, tests);
}

/** What makes the simulated device talk by it. */
export const fakeNccl = { NEXTPATCH_NCCL: library, NEXTPATCH_SIMT_DEVICES: "2" };

/** Runs a file of test/ranks/children as so many ranks; `errors` and `reports` of each. */
export async function runByNccl(
  count: number,
  name: string,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
) {
  const folder = mkdtempSync(join(tmpdir(), "nextpatch-nccl-"));
  const child = fileURLToPath(new URL(`../ranks/children/${name}`, import.meta.url));
  const loader = name.endsWith(".ts") ? ["--import", "tsx"] : [];
  const port = String(await freePort());
  try {
    return await Promise.all(
      Array.from({ length: count }, async (_, rank) => {
        const place = { RANK: String(rank), WORLD_SIZE: String(count), LOCAL_RANK: String(rank) };
        const meeting = { MASTER_ADDR: "127.0.0.1", NEXTPATCH_PORT: port, OMP_NUM_THREADS: "1", NODE_OPTIONS: "" };
        const running = spawn(process.execPath, [...loader, child, folder, ...args], {
          env: { ...process.env, ...fakeNccl, ...place, ...meeting, ...env },
          stdio: ["ignore", "ignore", "pipe"],
        });
        let errors = "";
        running.stderr.on("data", (data: Buffer) => (errors += data.toString()));
        const patience = setTimeout(() => running.kill("SIGKILL"), 60_000);
        await once(running, "close");
        clearTimeout(patience);
        const report = join(folder, `${rank}.json`);
        const found: unknown = existsSync(report) ? JSON.parse(readFileSync(report, "utf8")) : null;
        return { code: running.exitCode, errors, report: found };
      }),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
