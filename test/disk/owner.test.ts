/** Who owns a folder: one process at a time, and nobody who is dead. */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { isOwner, type Ownership, own, takeOwnership } from "../../lib/disk/owner.js";
import { describeOwner, type Owner } from "../../lib/disk/owner_file.js";
import { ConfigError } from "../../lib/errors.js";
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

  it("is refused in words that name the owner", async () => {
    const held = await take();
    const refused = own(lock(), "runs/a", "a run");
    await expect(refused).rejects.toBeInstanceOf(ConfigError);
    await expect(refused).rejects.toThrow(
      /^runs\/a: expected a folder that nothing else is writing but received one that a run is writing \(process \d+, since [^,]*\)$/,
    );
    await held.release();
    await (await own(lock(), "runs/a", "a run")).release();
  });

  it("is refused where a folder, a pipe or a link to nothing has the file's name", async () => {
    mkdirSync(lock());
    await expect(own(lock(), "runs/a", "a run")).rejects.toThrow(
      new ConfigError(`${lock()}: expected a file that names a process but received a folder`),
    );
    rmSync(lock(), { recursive: true });
    execFileSync("mkfifo", [lock()]);
    await expect(own(lock(), "runs/a", "a run")).rejects.toThrow("received a pipe or a device");
    rmSync(lock());
    symlinkSync(path("none"), lock());
    await expect(own(lock(), "runs/a", "a run")).rejects.toThrow(
      new ConfigError(
        `${lock()}: expected a file that names a process but received a link to something that does not exist`,
      ),
    );
    expect(readdirSync(path())).toEqual(["lock"]);
  });

  it.each(["past", "future"])(
    "of a process that cannot be looked up ends after a minute's silence: %s",
    async (when) => {
      await take();
      write({ space: "another machine", host: "elsewhere", pid: 1 });
      const setBack = (seconds: number): void => {
        const time = new Date(Date.now() + (when === "past" ? -1000 : 1000) * seconds);
        utimesSync(lock(), time, time);
      };
      setBack(41);
      const other = await takeOwnership(lock());
      expect(describeOwner(other as Owner)).toMatch(
        /^process 1 on elsewhere, since .*, last heard of 4[01] s ago; it cannot be looked up from here, and counts as dead after 60 s of silence$/,
      );
      setBack(62);
      await (await take()).release();
      expect(readdirSync(path())).toEqual([]);
    },
  );

  it("is noticed by the one who lost it, and left to its new owner", async () => {
    const first = await take();
    expect(await first.isHeld()).toBe(true);
    write({ started: "12" });
    expect(await first.isHeld()).toBe(false);
    const second = await take();
    await first.release();
    expect([await first.isHeld(), await second.isHeld()]).toEqual([false, true]);
    await second.release();
  });

  it("leaves no files of processes that were killed while they took it", async () => {
    await take();
    const dead = { ...read(), started: "12" };
    rmSync(lock());
    writeFileSync(path("lock.0123456789abcdef"), JSON.stringify(dead));
    writeFileSync(path("lock.txt"), "something else");
    await (await take()).release();
    expect(readdirSync(path())).toEqual(["lock.txt"]);
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
    for (let round = 0; round < 8; round++) {
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
    for (const text of ["not JSON", "", '{"pid":1}', '{"pid":1,"host":null,"since":"x"}']) {
      writeFileSync(lock(), text);
      await (await take()).release();
      expect(readdirSync(path())).toEqual([]);
    }
  });
});
