/** How ranks find one another, in a program of its own: right, late, wrong, and beside bytes that no rank sends. */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { repository, version } from "../support/package_tree.js";

const here = "127.0.0.1";

interface Asked {
  readonly rank: number;
  readonly size: number;
  readonly port: number;
  readonly seconds?: number;
  readonly token?: string;
}

const folder = mkdtempSync(join(tmpdir(), "nextpatch-rendezvous-"));
const program = join(folder, "rendezvous");
beforeAll(() => {
  const sources = ["native/core/rendezvous.cpp", "native/core/socket.cpp", "native/core/version.cpp"];
  const files = ["test/native/rendezvous.cpp", ...sources].map((file) => join(repository, file));
  const options = ["-std=c++17", "-O0", "-fsanitize=address,undefined", `-DNEXTPATCH_VERSION="${version}"`];
  execFileSync("c++", [...options, ...files, "-o", program]);
});

afterAll(() => rmSync(folder, { recursive: true }));

function start({ rank, size, port, seconds = 20, token = "5" }: Asked, env: NodeJS.ProcessEnv = {}) {
  const args = [rank, size, here, port, seconds, token].map(String);
  const child = spawn(program, args, { env: { ...process.env, ...env } });
  let output = "";
  child.stdout.on("data", (data: Buffer) => (output += data.toString()));
  child.stderr.on("data", (data: Buffer) => (output += data.toString()));
  const ended = new Promise<string>((resolve) => child.on("close", () => resolve(output)));
  return { child, ended, said: () => output };
}

/** Starts rank 0, and says at which port it is. */
async function startFirst(size: number, seconds = 20) {
  const first = start({ rank: 0, size, port: 0, seconds });
  while (!first.said().includes("\n") && first.child.exitCode === null) await setTimeout(5);
  return { ...first, port: Number(/port (\d+)/.exec(first.said())![1]) };
}

/** A connection that says this, and is not closed by this side. Resolves once the other side has closed it. */
function say(port: number, bytes: Uint8Array): { socket: Socket; closed: Promise<void> } {
  const socket = connect(port, here);
  socket.on("error", () => undefined).on("data", () => undefined);
  socket.write(bytes);
  return { socket, closed: new Promise((resolve) => socket.on("close", () => resolve())) };
}

/** What a rank says first. */
function hello({ rank = 1, size = 2, token = 5n, of = version }): Buffer {
  const bytes = Buffer.alloc(48);
  bytes.write("nxtpatch", 0);
  bytes.write(of, 8);
  bytes.writeBigUInt64LE(token, 32);
  bytes.writeInt32LE(rank, 40);
  bytes.writeInt32LE(size, 44);
  return bytes;
}

describe("ranks", () => {
  it("find one another, in any order, and have what they tell", async () => {
    const { port, ended } = await startFirst(3);
    const others = [2, 1].map((rank) => start({ rank, size: 3, port }).ended);
    const all = "all 100 101 102\ntold 7\n";
    expect(await Promise.all(others)).toEqual([all, all]);
    expect(await ended).toBe(`port ${port}\n${all}`);
  });

  it("wait for a rank 0 that comes late, by what their launcher tells all of them", async () => {
    const { port, child } = await startFirst(2);
    child.kill("SIGKILL");
    const launched = { size: 2, port, token: "launched" };
    const other = start({ rank: 1, ...launched }, { TORCHELASTIC_RUN_ID: "a" });
    await setTimeout(200);
    const first = start({ rank: 0, ...launched }, { TORCHELASTIC_RUN_ID: "a" });
    expect(await other.ended).toBe("all 100 101\ntold 7\n");
    expect(await first.ended).toBe("all 100 101\ntold 7\n");
  });

  it("find one another beside bytes that no rank sends, and connections that say nothing", async () => {
    const { port, ended } = await startFirst(3);
    const silent = say(port, new Uint8Array());
    const half = say(port, hello({ size: 3 }).subarray(0, 47));
    const refused = [
      Buffer.from("GET / HTTP/1.1\r\nHost: here\r\n\r\n"),
      Buffer.alloc(1 << 20, 0xa5),
      hello({ size: 3, token: 6n }),
      hello({ size: 3, of: "0.0.0-another" }),
      hello({ size: 3, rank: 0 }),
      hello({ size: 3, rank: 3 }),
      hello({ size: 3, rank: -1 }),
      hello({ rank: 0x7fffffff, size: 0x7fffffff }),
    ].map((bytes) => say(port, bytes).closed);
    await Promise.all(refused);
    const gone = say(port, hello({ size: 3 }));
    await setTimeout(100);
    gone.socket.destroy(); // a rank that came, and was killed
    const all = "all 100 101 102\ntold 7\n";
    const others = [1, 2].map((rank) => start({ rank, size: 3, port }).ended);
    expect(await Promise.all(others)).toEqual([all, all]);
    expect(await ended).toBe(`port ${port}\n${all}`);
    await Promise.all([silent.closed, half.closed]);
  });

  it("say what is missing or wrong", async () => {
    const { port, ended } = await startFirst(3, 3);
    const wrong = (asked: Partial<Asked>) => start({ rank: 1, size: 3, port, seconds: 1, ...asked }).ended;
    const advice =
      "; check that rank 0 runs, and that a firewall lets this port through (NEXTPATCH_PORT sets another)\n";
    const rank = String.raw`^Ranks\.join: rank 1 on \S+: `;
    const there = `expected rank 0 at ${here} port`;
    expect(await wrong({ size: 2 })).toMatch(new RegExp(`${rank}expected 2 ranks as here but received 3 on rank 0\n$`));
    expect(await wrong({ token: "6" })).toContain(`${there} ${port} but received one of another run${advice}`);
    const taken = start({ rank: 1, size: 3, port });
    await setTimeout(100);
    expect(await wrong({})).toContain("without a rank 1 but received that it has one: two processes have its number");
    expect(await ended).toContain(`expected 3 ranks at port ${port} within 3 s but received 2, without rank 2; check`);
    expect(await taken.ended).toContain("expected an answer of rank 0 but received: the connection was closed");
    expect(await wrong({})).toContain(`${there} ${port} within 1 s but received: Connection refused${advice}`);
    const other = createServer((socket) =>
      socket
        .on("error", () => undefined)
        .resume()
        .end("220 mail\r\n".repeat(9)),
    ).listen(0);
    await new Promise((resolve) => other.on("listening", resolve));
    const { port: taken0 } = other.address() as { port: number };
    expect(await wrong({ port: taken0 })).toContain(`${there} ${taken0} but received what is no rank${advice}`);
    expect(await start({ rank: 0, size: 2, port: taken0 }).ended).toContain(
      `Ranks.join: port ${taken0}: expected one that is free on`,
    );
    await new Promise((resolve) => other.close(resolve));
  });
});
