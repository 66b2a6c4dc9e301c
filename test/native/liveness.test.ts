/** Ranks that watch over one another, in a program of its own under the sanitizers: how they leave a loop, and end. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { repository, version } from "../support/package_tree.js";

const folder = mkdtempSync(join(tmpdir(), "nextpatch-liveness-"));
const program = join(folder, "liveness");
beforeAll(() => {
  const sources = ["liveness", "rendezvous", "socket", "version"].map((name) => `native/core/${name}.cpp`);
  const files = ["test/native/liveness.cpp", ...sources].map((file) => join(repository, file));
  const options = ["-std=c++17", "-O0", "-pthread", "-fsanitize=address,undefined"];
  execFileSync("c++", [...options, `-DNEXTPATCH_VERSION="${version}"`, ...files, "-o", program]);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A beat twice a second. */
const env = { ...process.env, NEXTPATCH_SILENCE: "2.5" };

class Rank {
  readonly #running;
  #output = "";
  #errors = "";
  readonly ended: Promise<{ code: number | null; errors: string }>;

  constructor(rank: number, size: number, port: number) {
    this.#running = spawn(program, [rank, size, port, 1].map(String), { env, stdio: "pipe" });
    this.#running.stdin.on("error", () => undefined); // it has ended
    this.#running.stdout.on("data", (data: Buffer) => (this.#output += data.toString()));
    this.#running.stderr.on("data", (data: Buffer) => (this.#errors += data.toString()));
    this.ended = new Promise((resolve) => {
      this.#running.on("close", (code) => resolve({ code, errors: this.#errors }));
    });
  }

  tell(...lines: string[]): void {
    this.#running.stdin.write(lines.map((line) => `${line}\n`).join(""));
  }

  /** Waits until it has said something, and returns that. */
  async says(pattern: RegExp, count = 1): Promise<string> {
    const begun = performance.now();
    for (;;) {
      const found = [...this.#output.matchAll(new RegExp(pattern, "g"))];
      if (found.length >= count) return found.at(-1)![1] ?? "";
      if (performance.now() - begun > 20_000) throw new Error(`${pattern}: ${this.#output}${this.#errors}`);
      await setTimeout(5);
    }
  }

  said = () => this.#output;
  end = () => this.#running.stdin.end();
  kill = () => this.#running.kill("SIGKILL");
}

/** Three of them that have met. */
async function meet(): Promise<[Rank, Rank, Rank]> {
  const first = new Rank(0, 3, 0);
  const port = Number(await first.says(/port (\d+)/));
  const ranks: [Rank, Rank, Rank] = [first, new Rank(1, 3, port), new Rank(2, 3, port)];
  for (const rank of ranks) await rank.says(/met/);
  return ranks;
}

const named = (rank: number) => `rank ${rank} on ${hostname()}`;
const line = (text: string) => `nextpatch: ${text}; so all ranks end\n`;
const ended = (ranks: readonly Rank[]) => Promise.all(ranks.map((rank) => rank.ended));

it("leave a loop together, again and again, and name one that leaves it alone", async () => {
  const ranks = await meet();
  for (const [time, order] of [
    [0, 1, 2],
    [2, 0, 1],
    [1, 2, 0],
  ].entries()) {
    for (const rank of ranks) rank.tell("step");
    for (const rank of order) {
      expect(ranks[rank]!.said().match(/departed/g) ?? []).toHaveLength(time);
      ranks[rank]!.tell("depart");
    }
    for (const rank of ranks) await rank.says(/departed/, time + 1);
  }
  for (const rank of ranks) rank.tell("step");
  ranks[2].tell("depart");
  await setTimeout(200);
  ranks[1].tell("step");
  expect(await ranks[2].says(/(rank 2 .*)/)).toBe(`${named(2)} left the loop, but ${named(1)} went on`);
  // Which may do the same then, as may rank 0.
  ranks[1].tell("depart");
  ranks[0].tell("step", "step", "depart");
  expect(await ranks[1].says(/(rank 1 .*)/)).toBe(`${named(1)} left the loop, but ${named(0)} went on`);
  for (const rank of ranks) rank.tell("leave");
  for (const rank of ranks) rank.end();
  expect(await ended(ranks)).toEqual(ranks.map(() => ({ code: 0, errors: "" })));
});

it("end where some come to no operation that another waits in, not where all have", async () => {
  const ranks = await meet();
  for (const rank of ranks) rank.tell("begin", "end");
  await setTimeout(2500);
  ranks[1].tell("begin");
  const where = `the operation on all ranks that ${named(1)} has waited in for 1 s (timeout)`;
  const [first, ...others] = await ended(ranks);
  expect(first).toEqual({ code: 1, errors: line(`${named(0)}, ${named(2)} have not come to ${where}`) });
  expect(others).toEqual(others.map(() => ({ code: 1, errors: "" })));
  // What their devices run is ended before they end.
  for (const rank of ranks) expect(rank.said()).toContain("abandoned");
});

it("end where one is killed, while others leave a loop", async () => {
  const ranks = await meet();
  ranks[0].tell("depart");
  ranks[2].tell("depart");
  ranks[1].kill();
  const [first, killed, last] = await ended(ranks);
  expect(first).toEqual({ code: 1, errors: line(`${named(1)} was lost: its connection was closed`) });
  expect([killed!.code, last]).toEqual([null, { code: 1, errors: "" }]);
});

it("end without a word where one tells of its error itself", async () => {
  const ranks = await meet();
  ranks[2].tell("fail");
  const [first, second] = await ended([ranks[0], ranks[1]]);
  expect([first, second]).toEqual([
    { code: 1, errors: "" },
    { code: 1, errors: "" },
  ]);
  ranks[2].end();
  expect(await ranks[2].ended).toEqual({ code: 0, errors: "" });
});

it.each(["10s", "0", "soon"])("refuse a silence of %s", (silence) => {
  const alone = spawnSync(program, ["0", "1", "0", "1"], { env: { ...env, NEXTPATCH_SILENCE: silence } });
  expect(alone.stdout.toString()).toContain(
    `Ranks.join: NEXTPATCH_SILENCE: expected seconds above 0 but received ${silence}\n`,
  );
  expect(alone.status).toBe(1);
});
