/** The quickstart's steps on a few kilobytes of text. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { type QuickstartOptions, quickstart } from "../../examples/quickstart.js";
import { loadRunConfig, type MetricsLine, parseRunConfig } from "../../lib/index.js";

let folder = "";
let logs: string[] = [];
let lines: MetricsLine[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nextpatch-test-"));
  logs = [];
  lines = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Five documents of sentences over a few dozen words, from a fixed linear congruential sequence. */
function writeDocuments(): string[] {
  const words = "the people of these united states have made a just law and peace with every nation".split(" ");
  let state = 1;
  const word = (): string => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return words[Math.floor(state / 2 ** 16) % words.length]!;
  };
  return Array.from({ length: 5 }, (_, index) => {
    const path = join(folder, `${index}.txt`);
    writeFileSync(path, `${Array.from({ length: 400 }, word).join(" ")}.`);
    return path;
  });
}

function options(files: string[], run = "run"): QuickstartOptions {
  const dataset = join(folder, "data");
  const config = {
    name: "test",
    model: {
      vocab_size: 280,
      hidden_size: 64,
      intermediate_size: 96,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      max_position_embeddings: 64,
    },
    data: { train: join(dataset, "train_*.bin"), val: join(dataset, "val_*.bin") },
    stages: [{ patchSize: 4, fraction: 0.6667 }, { patchSize: 1 }],
    batch: { tokensPerStep: 256, sequenceLength: 32 },
    train: { steps: 9 },
    optimizer: { lr: 3e-3 },
    schedule: { warmupSteps: 2 },
    device: "cpu",
    out: join(folder, run),
  };
  return {
    files,
    dataset,
    valFraction: 0.2,
    config: parseRunConfig(config, "test"),
    prompt: "the people",
    log: (message) => void logs.push(message),
    onStep: (line) => void lines.push(line),
  };
}

describe("quickstart", () => {
  it("goes from text to a model, a sample and a report, and does nothing twice", async () => {
    const files = writeDocuments();
    const { run, validation, sample } = await quickstart(options(files));
    expect(lines.map(({ patchSize }) => patchSize)).toEqual([4, 4, 4, 4, 4, 4, 1, 1, 1]);
    expect(validation.loss).toBeLessThan(Math.log(280));
    expect(validation.loss).toBeCloseTo(lines.at(-1)!.valLoss!, 4);
    expect(sample.newTokens).toBeGreaterThan(0);
    expect(existsSync(join(run, "model/model.safetensors"))).toBe(true);
    expect(readFileSync(join(run, "report.html"), "utf8")).toContain("<b>the people</b>");
    expect(logs.join("\n")).toMatch(
      /training a tokenizer of 280 tokens on 5 documents[\s\S]*K = 4 on .*, then K = 1 on /,
    );

    logs = [];
    lines = [];
    const again = await quickstart(options(files));
    expect(lines).toEqual([]);
    expect(logs.join("\n")).toMatch(/is prepared already[\s\S]*holds the finished run/);
    expect(again.validation).toEqual(validation);
    expect(again.sample.text).toBe(sample.text);
    expect(readFileSync(join(run, "report.html"), "utf8")).toContain("<b>the people</b>");
  });

  it("prepares the data again where the files have changed", async () => {
    const files = writeDocuments();
    await quickstart(options(files, "before"));
    writeFileSync(files[0]!, readFileSync(files[0]!, "utf8").repeat(2));
    logs = [];
    await quickstart(options(files, "after"));
    expect(logs[0]).toMatch(/^training a tokenizer/);
    expect(logs.join("\n")).not.toMatch(/prepared already/);
  });

  it("goes on after an interruption to what an undisturbed run ends with", async () => {
    const files = writeDocuments();
    const whole = await quickstart(options(files, "whole"));
    const wholeLines = lines.map(({ step, loss }) => ({ step, loss }));
    lines = [];
    const interrupt = new AbortController();
    const interrupted = quickstart({
      ...options(files, "interrupted"),
      signal: interrupt.signal,
      onStep(line) {
        lines.push(line);
        if (line.step === 7) interrupt.abort(new Error("enough for now"));
      },
    });
    await expect(interrupted).rejects.toThrow("enough for now");
    const resumed = await quickstart(options(files, "interrupted"));
    expect(lines.map(({ step, loss }) => ({ step, loss }))).toEqual(wholeLines);
    expect(resumed.validation).toEqual(whole.validation);
    expect(resumed.sample.text).toBe(whole.sample.text);
  });

  it("is done, and says so, where it is interrupted in its last step", async () => {
    const interrupt = new AbortController();
    const { run, sample } = await quickstart({
      ...options(writeDocuments()),
      signal: interrupt.signal,
      onStep: ({ step }) => step === 9 && interrupt.abort(new Error("too late")),
    });
    expect(existsSync(join(run, "model/model.safetensors"))).toBe(true);
    expect(sample.newTokens).toBeGreaterThan(0);
  });
});

describe("sotu-tiny.yaml", () => {
  it("is a valid config of two stages", async () => {
    const { stages, out } = await loadRunConfig("examples/sotu-tiny.yaml");
    expect(stages).toMatchObject([{ patchSize: 4, fraction: 0.6667 }, { patchSize: 1 }]);
    expect(out).toBe("runs/sotu-tiny");
  });
});
