/** Runs on mixes, and on shards of other programs. */
import { writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { ConfigError } from "../../lib/errors.js";
import { computed, madeConfig, madeTokens, runTo, writeMadeData, writeShard } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => {
  await writeMadeData(path());
  await writeShard(path("other.bin"), madeTokens(1500, 7));
  writeFileSync(path("nano.bin"), new Uint8Array(Uint16Array.from(madeTokens(2000, 9)).buffer));
});

const train = () => [
  { path: path("train.bin"), weight: 2 },
  { path: path("other.bin"), weight: 1 },
  { path: path("nano.bin"), weight: 1, format: "nanogpt" },
];
const data = () => ({ train: train(), val: path("val.bin") });

describe("a run on a mix", () => {
  it("gives the same bits wherever it is interrupted", async () => {
    const whole = computed(await runTo(madeConfig(path(), { data: data(), out: path("whole") })));
    expect(whole.at(-1)!.loss).toBeLessThan(whole[0]!.loss);
    for (const until of [1, 6, 9]) {
      const config = madeConfig(path(), { data: data(), out: path(`at-${until}`) });
      const lines = [...(await runTo(config, { until })), ...(await runTo(config, { resume: true }))];
      expect(computed(lines)).toEqual(whole);
    }
  });

  it("of other weights is another run", async () => {
    const config = madeConfig(path(), { data: data() });
    await runTo(config, { until: 3 });
    const other = madeConfig(path(), { data: { ...data(), train: train().map((entry) => ({ ...entry, weight: 1 })) } });
    await expect(runTo(other, { resume: true })).rejects.toThrow(/differs from the run's in data\.train\[0\]\.weight/);
  });

  it("is one stream without weights", async () => {
    const [first, second] = [path("other.bin"), path("train.bin")];
    const plain = await runTo(
      madeConfig(path(), { data: { train: [first, second] }, eval: undefined, out: path("a") }),
    );
    const entries = [{ path: first }, { path: second, format: "llmc" }];
    const listed = await runTo(madeConfig(path(), { data: { train: entries }, eval: undefined, out: path("b") }));
    expect(computed(listed)).toEqual(computed(plain));
  });

  it("needs a weight in every entry, and none for validation", () => {
    const config = (changes: object) => () => madeConfig(path(), { data: { ...data(), ...changes } });
    expect(config({ train: [train()[0], { path: "x" }] })).toThrow(ConfigError);
    expect(config({ train: [train()[0], { path: "x" }] })).toThrow(
      /data\.train\[1\]\.weight: expected a weight in every entry of a mix but received none/,
    );
    expect(config({ val: [{ path: "x", weight: 1 }] })).toThrow(/data\.val\[0\]\.weight: expected none/);
    expect(config({ train: [{ path: "x", weight: 0 }] })).toThrow(/data\.train/);
    expect(config({ train: [{ path: "x", form: "llmc" }] })).toThrow(/data\.train/);
  });
});
