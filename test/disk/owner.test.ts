/** Who owns a folder: one process at a time, and nobody who is dead. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { describeOwner, isOwner, type Owner, type Ownership, takeOwnership } from "../../lib/disk/owner.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const lock = (): string => path("lock");
const read = (): Owner => JSON.parse(readFileSync(lock(), "utf8")) as Owner;
const write = (owner: Partial<Owner>): void => writeFileSync(lock(), JSON.stringify({ ...read(), ...owner }));

async function take(): Promise<Ownership> {
  const taken = await takeOwnership(lock());
  if (isOwner(taken)) throw new Error(describeOwner(taken));
  return taken;
}

describe("ownership", () => {
  it("is one process's until it is released", async () => {
    const held = await take();
    expect(read()).toMatchObject({ pid: process.pid });
    const other = await takeOwnership(lock());
    expect(other).toEqual(read());
    expect(describeOwner(other as Owner)).toMatch(new RegExp(`^process ${process.pid}, since \\d{4}-`));
    await held.release();
    await held.release();
    expect(readdirSync(path())).toEqual([]);
    await (await take()).release();
  });

  it("does not outlive its process, whatever has its number", async () => {
    await take();
    write({ pid: 2 ** 22 + 5 });
    await take();
    write({ started: "12" });
    const held = await take();
    expect(read().pid).toBe(process.pid);
    await held.release();
  });

  it("of a process that cannot be looked up ends a minute after its last touch", async () => {
    await take();
    write({ space: "another machine", host: "elsewhere", pid: 1 });
    const other = await takeOwnership(lock());
    expect(describeOwner(other as Owner)).toMatch(/^process 1 on elsewhere, since /);
    const long = new Date(Date.now() - 61_000);
    utimesSync(lock(), long, long);
    await (await take()).release();
  });

  it("is taken over from a process that was killed, by one of many", async () => {
    await take();
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    const started = readFileSync(`/proc/${child.pid!}/stat`, "utf8").split(") ")[1]!.split(" ")[19]!;
    write({ pid: child.pid!, started });
    expect(isOwner(await takeOwnership(lock()))).toBe(true);
    child.kill("SIGKILL");
    await once(child, "exit");
    const dead = readFileSync(lock());
    for (let round = 0; round < 20; round++) {
      writeFileSync(lock(), dead);
      const all = await Promise.all(Array.from({ length: 20 }, () => takeOwnership(lock())));
      const owners = all.filter((result): result is Ownership => !isOwner(result));
      expect(owners.length).toBe(1);
      expect(readdirSync(path())).toEqual(["lock"]);
      await owners[0]!.release();
      expect(readdirSync(path())).toEqual([]);
    }
  });

  it("is taken over where the process that was taking it over was killed too", async () => {
    await take();
    write({ started: "12" });
    const name = createHash("sha256").update(readFileSync(lock())).digest("hex").slice(0, 16);
    writeFileSync(path(`lock.${name}`), readFileSync(lock()));
    await (await take()).release();
    expect(readdirSync(path())).toEqual([]);
  });

  it("of a damaged file is nobody's", async () => {
    for (const text of ["not JSON", ""]) {
      writeFileSync(lock(), text);
      await (await take()).release();
      expect(readdirSync(path())).toEqual([]);
    }
  });
});
