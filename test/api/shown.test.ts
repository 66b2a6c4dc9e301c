/** What console.log shows of the objects of the API: a line each. */
import { inspect } from "node:util";
import { expect, it } from "@jest/globals";
import { Device, Llama, presets, Tensor, Tokenizer, Trainer } from "../../lib/index.js";
import { madeConfig, writeMadeData } from "../support/made_run.js";
import { madeTokenizer } from "../support/made_tokenizer.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

it("says dtype, shape, device and size", async () => {
  const device = Device.open("cpu", { threads: 2 });
  expect(inspect(device)).toMatch(/^Device cpu:0 \(.+\), 2 threads$/);

  const tensor = new Tensor(device, "bf16", [2, 3]);
  expect(inspect(tensor)).toBe("Tensor bf16 [2, 3] on cpu:0, 12 bytes");
  expect(inspect(tensor.narrow(1, 0, 2))).toBe("Tensor bf16 [2, 2] on cpu:0, 8 bytes, a strided view");
  tensor.dispose();
  expect(inspect({ tensor })).toBe("{ tensor: Tensor bf16 [2, 3], disposed }");

  using model = Llama.create(presets.tiny, { device, precision: "fp32" });
  const shown = "Llama llama, 3.34 M parameters, fp32 on cpu:0, hidden size 192, 4 layers, vocabulary 4096";
  expect(inspect(model)).toBe(shown);
  model.dispose();
  expect(inspect(model)).toBe(`${shown}, disposed`);

  expect(inspect(await Tokenizer.fromJson(madeTokenizer(), "mine"))).toBe("Tokenizer mine, vocabulary 257");

  await writeMadeData(path());
  const trainer = await Trainer.open(madeConfig(path()));
  expect(inspect(trainer)).toMatch(/^Trainer \S+\/run, step 0 of 12, Llama llama, 0\.\d\d M parameters, fp32 on cpu:0/);
  await trainer.close();
  expect(inspect(trainer)).toMatch(/, disposed, closed$/);
});
