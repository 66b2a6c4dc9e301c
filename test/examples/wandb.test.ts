import { expect, it } from "@jest/globals";
import { WandBLogger } from "../../examples/wandb.js";
import { madeLine } from "../support/made_lines.js";

it("the example's logger begins a run, logs its lines and finishes it", async () => {
  const calls: unknown[] = [];
  const wandb = {
    init: async (options: object) => calls.push(["init", options]),
    log: (data: object) => calls.push(["log", data]),
    finish: async () => void calls.push(["finish"]),
  };
  const logger = new WandBLogger(wandb, "mine");
  await logger.begin({ name: "tiny", folder: "runs/tiny", config: { seed: 1 }, step: 40 });
  logger.step(madeLine(41));
  await logger.end();
  expect(calls).toEqual([
    ["init", { project: "mine", name: "tiny from step 40", config: { seed: 1 } }],
    ["log", madeLine(41)],
    ["finish"],
  ]);
});
