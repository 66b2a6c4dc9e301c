import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "@jest/globals";
import type { RunFacts } from "../../lib/report/run_facts.js";
import { Trainer } from "../../lib/train/trainer.js";
import { madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

it("a run's report keeps texts by the model and where it was trained, through checkpoints and resumptions", async () => {
  await writeMadeData(path());
  const config = madeConfig(path());
  const file = join(config.out, "report.json");
  const facts = () => JSON.parse(readFileSync(file, "utf8")) as RunFacts;
  const page = () => readFileSync(join(config.out, "report.html"), "utf8");
  const trainer = await Trainer.open(config);
  for await (const { step } of trainer.run()) {
    if (step === 1) expect(facts()).toMatchObject({ config: { name: "made" }, samples: [], notes: [] });
    if (step === 3) await trainer.writeReport({ prompt: "Once", text: " upon a time" });
    if (step === 5) await trainer.writeReport({ prompt: "Once", text: " more <b>" });
    if (step === 5) break;
  }
  await trainer.close();
  const samples = [
    { step: 3, prompt: "Once", text: " upon a time" },
    { step: 5, prompt: "Once", text: " more <b>" },
  ];
  expect(facts().samples).toEqual(samples);
  await runTo(config, { resume: true, until: 8 });
  expect(facts()).toMatchObject({
    samples,
    evaluated: { sequences: 8, positions: 16 },
    environments: [{ trainTokens: 6000 }],
  });
  expect(facts().memory.plannedBytes).toBeGreaterThan(0);
  expect(page()).toContain("<pre><b>Once</b> more &lt;b&gt;</pre>");
  expect(page()).toContain("After step 5.");

  // Where the run was trained before is not lost; what is damaged is.
  const elsewhere = { ...facts().environments[0]!, processor: "another" };
  writeFileSync(file, JSON.stringify({ samples: [null, { step: "x" }, samples[0]], environments: [elsewhere, {}, 3] }));
  await runTo(config, { resume: true });
  expect(facts().samples).toEqual([samples[0]]);
  expect(facts().environments).toHaveLength(2);
  expect(page()).toMatch(/<th>Processor<\/th><td>another, [^<]*; /);
});
