/** Machines on one: network namespaces that a bridge joins, each with a host name of its own, for Open MPI. */
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const id = `np${process.pid % 100_000}`;
const namespace = (host: number) => `${id}-${host}`;
const address = (host: number) => `10.213.77.${host + 1}`;

/** The end of a machine's cable that is on the bridge. */
const plug = (host: number) => `${id}p${host}`;

function ip(...args: string[]): void {
  const { status, stderr, error } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${error?.message ?? stderr}`);
}

/** Why there can be no such machines here; null: there can. */
export function noHosts(): string | null {
  try {
    ip("netns", "add", `${id}-try`);
    ip("netns", "delete", `${id}-try`);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

export class Hosts {
  constructor(
    readonly count: number,
    private readonly folder: string,
  ) {
    ip("link", "add", id, "type", "bridge");
    ip("link", "set", id, "up");
    for (let host = 0; host < count; ++host) {
      ip("netns", "add", namespace(host));
      ip("link", "add", plug(host), "type", "veth", "peer", "name", "eth0", "netns", namespace(host));
      ip("link", "set", plug(host), "master", id, "up");
      ip("-n", namespace(host), "address", "add", `${address(host)}/24`, "dev", "eth0");
      ip("-n", namespace(host), "link", "set", "eth0", "up");
      ip("-n", namespace(host), "link", "set", "lo", "up");
    }
    // What mpirun calls in place of ssh: with a machine's address and a command for its shell.
    const agent = `#!/bin/sh\nhost=$((\${1##*.} - 1)); shift\nexec ${this.on("$host", '"$*"')}\n`;
    writeFileSync(this.#agent, agent);
    chmodSync(this.#agent, 0o755);
  }

  get #agent(): string {
    return join(this.folder, "agent.sh");
  }

  /** A command of a shell that runs another on a machine. */
  on(host: number | string, command: string): string {
    const named = `'hostname "$0"; eval "$1"'`;
    return `ip netns exec ${id}-${host} unshare --uts --ipc sh -c ${named} host-${host} ${command}`;
  }

  /** Starts a rank on each machine, rank 0 on the first. */
  start(program: readonly string[], env: NodeJS.ProcessEnv) {
    const network = ["--mca", "btl", "self,tcp", "--mca", "pml", "ob1"];
    for (const part of ["btl", "oob"]) network.push("--mca", `${part}_tcp_if_include`, "10.213.77.0/24");
    const hosts = Array.from({ length: this.count }, (_, host) => `${address(host)}:1`).join(",");
    const flags = ["--mca", "plm_rsh_agent", this.#agent, ...network, "--bind-to", "none", "-H", hosts];
    const passed = Object.keys(env).flatMap((name) => ["-x", name]);
    const command = ["mpirun", ...flags, ...passed, ...program].join(" ");
    const root = { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" };
    return spawn("sh", ["-c", `exec ${this.on(0, `'${command}'`)}`], {
      env: { ...process.env, ...root, NODE_OPTIONS: "", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  pullCable(host: number): void {
    ip("link", "set", plug(host), "down");
  }

  /** Ends what runs on the machines, too. */
  remove(): void {
    for (let host = 0; host < this.count; ++host) {
      const { stdout } = spawnSync("ip", ["netns", "pids", namespace(host)], { encoding: "utf8" });
      for (const process of stdout.split("\n").filter(Boolean)) spawnSync("kill", ["-KILL", process]);
      spawnSync("ip", ["link", "delete", plug(host)]);
      spawnSync("ip", ["netns", "delete", namespace(host)]);
    }
    spawnSync("ip", ["link", "delete", id]);
  }
}
