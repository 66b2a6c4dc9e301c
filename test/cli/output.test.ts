/** Standard streams that are full, or have lost their reader. */
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "@jest/globals";
import { Messages, Results } from "../../lib/cli/output.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

/** A pipe whose writes do not block, and what is in it when it is read. */
function pipe() {
  const name = path("pipe");
  execFileSync("mkfifo", [name]);
  const fd = openSync(name, constants.O_RDWR | constants.O_NONBLOCK);
  const bytes = Buffer.alloc(2 ** 20);
  const read = (): string => {
    try {
      return bytes.toString("utf8", 0, readSync(fd, bytes));
    } catch {
      return ""; // it is empty
    }
  };
  return { fd, read };
}
const line = (index: number, length = 1000): string => `${`${index}`.padEnd(length - 1, ".")}\n`;

describe("messages", () => {
  it("are printed in order", async () => {
    const { fd, read } = pipe();
    const messages = new Messages(fd);
    messages.print("one\n");
    messages.print("");
    messages.print("two\n");
    expect(read()).toBe("one\ntwo\n");
    await messages.finish();
    expect(read()).toBe("");
    closeSync(fd);
  });

  it.each([1000, 7001])(
    "that a full pipe does not take wait, then are dropped and counted: %d bytes each",
    async (length) => {
      const { fd, read } = pipe();
      const messages = new Messages(fd);
      for (let index = 0; index < 150; index++) messages.print(line(index, length));
      let text = read();
      messages.print("later\n");
      text += read();
      await messages.finish();
      text += read();
      const printed = text.split("\n").filter((each) => each.includes(".")).length;
      const numbers = Array.from({ length: printed }, (_, index) => `${index}\n`).join("");
      expect(text.replace(/\.+\n/g, "\n")).toBe(
        `${numbers}nextpatch: ${150 - printed} messages could not be printed here (EAGAIN: resource temporarily unavailable, ` +
          "write)\nlater\n",
      );
      // A pipe and what is kept have 64 KiB each.
      expect(printed * length).toBeGreaterThan(2 ** 17 - 2 * 7001 - 4096);
      closeSync(fd);
    },
  );

  it("that are still missing at the end are told of then, if the reader goes on within a second", async () => {
    const { fd, read } = pipe();
    const messages = new Messages(fd);
    messages.print(line(0, 2 ** 16));
    messages.print(line(1, 2 ** 16));
    messages.print("dropped\n");
    messages.dropped(new Error("EIO: i/o error, write"));
    const finished = messages.finish();
    let text = read();
    while (!text.endsWith("write)\n")) {
      await setTimeout(30);
      text += read();
    }
    await finished;
    expect(text.replace(/\.+\n/g, "\n")).toBe(
      "0\n1\nnextpatch: 2 messages could not be printed here (EAGAIN: resource temporarily unavailable, write)\n",
    );
    closeSync(fd);
  });

  it("do no harm where nothing can be printed, and hold nothing up", async () => {
    const start = performance.now();
    const fd = openSync("/dev/full", "w");
    const messages = new Messages(fd);
    for (let index = 0; index < 100; index++) messages.print(line(index));
    await messages.finish();
    closeSync(fd);
    const closed = new Messages(fd);
    closed.print("x");
    await closed.finish();
    expect(performance.now() - start).toBeLessThan(900);
  });
});

describe("a result", () => {
  it("waits for a slow reader", async () => {
    const { fd, read } = pipe();
    const results = new Results(fd);
    const whole = Array.from({ length: 300 }, (_, index) => line(index)).join("");
    results.print(whole.slice(0, 1000));
    results.print(whole.slice(1000));
    let text = "";
    const finished = results.finish();
    while (text.length < whole.length) {
      text += read();
      await setTimeout(30);
    }
    await finished;
    expect(text).toBe(whole);
    closeSync(fd);
  });

  it("that cannot be written is a failure", async () => {
    const fd = openSync("/dev/full", "w");
    const results = new Results(fd);
    results.print("x");
    results.print("y");
    await expect(results.finish()).rejects.toThrow(
      "the result could not be written to standard output: ENOSPC: no space left on device, write",
    );
    closeSync(fd);
    writeFileSync(path("file"), "");
    const file = openSync(path("file"), "w");
    const whole = new Results(file);
    whole.print("all\n");
    await whole.finish();
    closeSync(file);
    expect(readFileSync(path("file"), "utf8")).toBe("all\n");
  });
});
