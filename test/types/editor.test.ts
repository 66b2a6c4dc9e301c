/** What an editor shows of configs and calls: names to complete, types and documentation on hover. */
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type Document, LanguageServer, type Position } from "./language_server.js";

/** `‸N` marks place N. */
const marked = `
import { defineConfig, generate, Llama, presets, type Trainer } from "../../lib/index.js";
declare const model: Llama;
declare const trainer: Trainer;
const config = defineConfig({
  name: "run",
  mod‸1el: { preset: "‸2tiny", rope_t‸3heta: 1e4 },
  data: { train: "train.bin" },
  batch: { tokensPer‸4Step: 1024, sequenceLength: 128 },
  stages: [{ patchSize: 4, o‸5f: "‸6flops", fraction: 0.5 }, { patchSize: 1, optimizer: { ‸7 } }],
  train: { steps: 10 },
  schedule: { type: "‸8cosine" },
  opt‸9imizer: {},
});
config.optimizer.l‸10r;
trainer.‸11stages;
generate(model, null as never, "", { ‸12 });
`;

const text = marked.replace(/‸\d+/g, "");

/** The place of a mark. */
function place(mark: number): Position {
  const before = marked.slice(0, marked.search(new RegExp(`‸${mark}(?!\\d)`))).replace(/‸\d+/g, "");
  const lines = before.split("\n");
  return { line: lines.length - 1, character: lines.at(-1)!.length };
}

const server = new LanguageServer();
let document: Document;
beforeAll(async () => {
  document = await server.open("test/types/editor.ts", text);
});
afterAll(() => server.close());

describe("hover", () => {
  it.each([
    [1, "RunConfigInput.model?: ModelInput", "Keys of a Hugging Face Llama config, or `preset`"],
    [3, "rope_theta?: number", ""],
    [4, "BatchInput.tokensPerStep?: number", "Tokens of text per optimizer step; a multiple of patchSize"],
    [5, 'StageInput.of?: "flops" | "steps" | "tokens"', "What `fraction` is a share of"],
    [9, "RunConfigInput.optimizer?: OptimizerInput", "The optimizer and its settings."],
    [10, "OptimizerValues.lr: number", "Base learning rate of AdamW; the schedule scales it. Number > 0."],
    [11, "Trainer.stages: readonly ResolvedStage[]", "The stages in order, each with its overrides applied"],
  ])("at mark %i shows the type and what the key means", async (mark, type, meaning) => {
    const shown = await document.hover(place(mark));
    expect(shown).toContain(type);
    expect(shown).toContain(meaning);
  });
});

describe("completion", () => {
  it.each([
    [2, ["llama-1.3b", "llama-2.7b", "llama-370m", "llama-780m", "tiny"]],
    [6, ["flops", "steps", "tokens"]],
    [7, ["betas", "eps", "gradClip", "lr", "muon", "weightDecay"]],
    [8, ["constant", "cosine", "wsd"]],
    [12, ["maxTokens", "minP", "onText", "repetitionPenalty", "seed", "signal", "stop", "temperature", "topK", "topP"]],
  ])("at mark %i offers what may stand there", async (mark, names) => {
    const offered = await document.completions(place(mark));
    expect(offered.map((name) => name.replace(/\?$/, "")).sort()).toEqual(names);
  });

  it("offers a trainer's members", async () => {
    const offered = await document.completions(place(11));
    expect(offered).toEqual(expect.arrayContaining(["config", "run", "requestStop", "writeReport"]));
  });
});
