import { appendFileSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { MetricsFollower } from "../../lib/watch/metrics_follower.js";
import { madeText } from "../support/made_lines.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const file = () => path("metrics.jsonl");
const follow = async (follower = new MetricsFollower(file())) => {
  await follower.update();
  return follower;
};
const steps = (follower: MetricsFollower) => follower.lines.map(({ step }) => step);

describe("the follower of a metrics file", () => {
  it("reads what is appended, and whole lines only", async () => {
    const follower = await follow();
    expect([follower.last, follower.lines]).toEqual([null, []]);
    writeFileSync(file(), madeText(1, 3));
    await follow(follower);
    const [first] = follower.lines;
    const text = madeText(4, 5);
    appendFileSync(file(), text.slice(0, -20));
    await follow(follower);
    expect(steps(follower)).toEqual([1, 2, 3, 4]);
    appendFileSync(file(), text.slice(-20));
    expect(await follower.update()).toBe(true);
    expect(await follower.update()).toBe(false);
    expect(steps(follower)).toEqual([1, 2, 3, 4, 5]);
    expect(follower.lines[0]).toBe(first); // not read again
    expect(follower.damaged).toBe(0);
  });

  it("keeps few lines of many", async () => {
    writeFileSync(file(), madeText(1, 20_000));
    const follower = await follow();
    expect(follower.last!.step).toBe(20_000);
    expect(follower.lines.length).toBeLessThan(1003);
  });

  it.each(["between two looks", "seen shorter"])("follows a run that goes on from a checkpoint, %s", async (when) => {
    writeFileSync(file(), madeText(1, 9));
    const follower = await follow();
    truncateSync(file(), madeText(1, 4).length);
    if (when === "seen shorter") {
      await follow(follower);
      expect(steps(follower)).toEqual([1, 2, 3, 4]);
    }
    appendFileSync(file(), madeText(5, 20, { loss: 4 }));
    await follow(follower);
    expect(steps(follower)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(follower.lines.map(({ loss }) => loss)).toEqual([...Array(4).fill(5), ...Array(16).fill(4)]);
  });

  it("goes on at what is no line, and at lines out of order", async () => {
    writeFileSync(
      file(),
      `${madeText(1, 2)}\0\xff{"step":3}\n[]\nnull\n${madeText(2, 3)}${madeText(4, 4, { stage: 1e6 })}`,
    );
    const follower = await follow();
    expect(steps(follower)).toEqual([1, 2, 3]);
    expect(follower.damaged).toBe(5);
    appendFileSync(file(), madeText(2, 5));
    await follow(follower);
    expect(steps(follower)).toEqual([1, 2, 3, 4, 5]);
  });

  it("reads nothing by way of a symbolic link, from a folder, or of a file that vanishes", async () => {
    writeFileSync(path("other"), madeText(1, 3));
    symlinkSync(path("other"), file());
    const follower = await follow();
    expect(follower.lines).toEqual([]);
    rmSync(file());
    mkdirSync(file());
    expect(steps(await follow(follower))).toEqual([]);
    rmSync(file(), { recursive: true });
    writeFileSync(file(), madeText(1, 3));
    expect(steps(await follow(follower))).toEqual([1, 2, 3]);
    rmSync(file());
    expect(steps(await follow(follower))).toEqual([]);
  });
});
