import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { thisProcess } from "../../lib/disk/process_identity.js";
import type { RunUpdate, Update } from "../../lib/watch/feed.js";
import { WatchServer } from "../../lib/watch/server.js";
import { madeText } from "../support/made_lines.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
let server: WatchServer;
const streams: AbortController[] = [];
beforeEach(async () => {
  server = await WatchServer.open(path(), 0);
});
afterEach(async () => {
  for (const stream of streams.splice(0)) stream.abort();
  await server.close();
});

/** Status and headers of an answer. */
function ask(url: string, options: { host?: string; method?: string } = {}) {
  const { host, method = "GET" } = options;
  return new Promise<{ status: number; text: string; policy: string }>((resolve, reject) => {
    const asked = request(url, { method, headers: host === undefined ? {} : { host } }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      const policy = String(response.headers["content-security-policy"]);
      response.on("end", () => resolve({ status: response.statusCode!, text, policy }));
    });
    asked.on("error", reject).end();
  });
}

/** The updates of a page, until it has what is wanted. */
async function* events(): AsyncGenerator<Update> {
  const stream = new AbortController();
  streams.push(stream);
  const response = await fetch(`${server.url}events`, { signal: stream.signal });
  let text = "";
  const decoder = new TextDecoder();
  for await (const part of response.body!) {
    text += decoder.decode(part as Uint8Array, { stream: true });
    const messages = text.split("\n\n");
    text = messages.pop()!;
    for (const message of messages) if (message.startsWith("data: ")) yield JSON.parse(message.slice(6)) as Update;
  }
}
const next = async (stream: AsyncGenerator<Update>) => (await stream.next()).value as Update;

function makeRun(name: string, text: string): void {
  mkdirSync(path(name), { recursive: true });
  writeFileSync(path(`${name}/metrics.jsonl`), text);
}

describe("the server of watch", () => {
  it("serves its page and what belongs to it, with a policy that allows nothing from elsewhere", async () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{24}\/$/);
    for (const name of ["", "page.js", "page.css", "?x=1"]) {
      const { status, text, policy } = await ask(server.url + name);
      expect(status).toBe(200);
      expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'/);
      expect(policy).not.toContain("unsafe");
      if (!name.includes("."))
        expect(text.match(/(src|href)="[^"]*"/g)).toEqual(['href="data:,"', 'href="page.css"', 'src="page.js"']);
    }
  });

  it("answers nobody without the token, by another host's name, or with another method", async () => {
    const { origin } = new URL(server.url);
    const token = server.url.split("/")[3]!;
    for (const other of [
      "/",
      "/events",
      `/${token}x/`,
      `/${token.slice(1)}/events`,
      `/${token}`,
      "/../../etc/passwd",
    ]) {
      expect((await ask(origin + other)).status).toBe(404);
    }
    for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil:80"]) {
      expect((await ask(server.url, { host })).status).toBe(403);
    }
    for (const host of ["localhost:9000", "127.0.0.1", "[::1]:80"]) {
      expect((await ask(server.url, { host })).status).toBe(200);
    }
    expect((await ask(server.url, { method: "POST" })).status).toBe(405);
    for (const name of ["__proto__", "constructor", "../page.js", "%2e%2e/"]) {
      expect((await ask(server.url + name)).status).toBe(404);
    }
  });

  it("tells of runs as they appear, go on, end and vanish", async () => {
    const stream = events();
    expect(await next(stream)).toMatchObject({ folder: path(), ids: [], runs: [] });
    makeRun(
      "deep/one",
      madeText(1, 3, { time: { data: 1, embedding: 0, transformer: 2, head: 0, optimizer: 0, idle: 0 } }),
    );
    writeFileSync(path("deep/one/run.lock"), JSON.stringify(thisProcess()));
    const facts = {
      config: { name: "n" },
      stages: [{ steps: 4 }, { steps: 2 }],
      evaluated: { sequences: 2, positions: 8 },
    };
    writeFileSync(
      path("deep/one/report.json"),
      JSON.stringify({ ...facts, samples: [{ step: 2, prompt: "a", text: "b" }] }),
    );
    const [run] = (await next(stream)).runs as [RunUpdate];
    expect(run).toMatchObject({ id: "deep/one", keep: 0 });
    expect(run.rows.map(([step]) => step)).toEqual([1, 2, 3]);
    expect(run.summary).toMatchObject({
      state: "training",
      steps: 6,
      evaluatedTokens: 16,
      time: { data: 1, transformer: 2 },
    });
    expect(run.summary!.samples).toEqual([{ step: 2, prompt: "a", text: "b" }]);
    makeRun("deep/one", madeText(1, 5));
    expect((await next(stream)).runs).toMatchObject([{ id: "deep/one", keep: 0 }]); // its lines are other ones
    rmSync(path("deep/one/run.lock"));
    const [stopped] = (await next(stream)).runs;
    expect(stopped).toMatchObject({ summary: { state: "stopped" }, keep: 5, rows: [] });
    rmSync(path("deep"), { recursive: true });
    const updates: Update[] = [];
    for await (const update of stream) if (updates.push(update) && update.ids.length === 0) break;
    expect(updates.at(-1)!.ids).toEqual([]);
  });

  it("stands whatever lies in the folder, and sends a run's texts as they are", async () => {
    const evil = "<img src=x onerror=alert(1)>";
    makeRun(evil, madeText(1, 2));
    writeFileSync(
      path(`${evil}/report.json`),
      JSON.stringify({ config: { name: evil }, device: 7, stages: "x", samples: [null, { step: evil }] }),
    );
    makeRun("damaged", `${"x".repeat(100_000)}\n{"step":1}\n`);
    writeFileSync(path("damaged/report.json"), "[".repeat(10_000));
    writeFileSync(path("damaged/run.lock"), '{"pid":"1"}');
    mkdirSync(path("strange/metrics.jsonl"), { recursive: true });
    symlinkSync(path(), path("circle"));
    symlinkSync("/etc/passwd", path("passwd"));
    makeRun("linked", madeText(1, 1));
    symlinkSync("/etc/passwd", path("linked/report.json"));
    mkdirSync(path("closed"));
    chmodSync(path("closed"), 0);
    await next(events()); // before the first look
    const stream = events();
    const update = await next(stream);
    const all = update.ids.length > 0 ? update : await next(stream);
    expect([...all.ids].sort()).toEqual([evil, "damaged", "linked"].sort());
    const of = (id: string) => all.runs.find((run) => run.id === id)!;
    expect(of(evil).summary).toMatchObject({ name: evil, device: null, steps: null, samples: [], state: "stopped" });
    expect(of("damaged").summary).toMatchObject({ damaged: 2, state: "stopped", name: null });
    expect(JSON.stringify(all)).not.toContain("root:");
    expect((await ask(server.url)).text).not.toContain("onerror");
  });

  it("ends its streams, and a second close does nothing", async () => {
    const stream = events();
    await next(stream);
    await server.close();
    await server.close();
    await expect(stream.next()).resolves.toMatchObject({ done: true });
    await expect(fetch("http://127.0.0.1")).rejects.toThrow();
  });
});
