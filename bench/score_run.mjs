/** `score` of the built package, for score.ts; its last line is JSON, as peers/score.py's. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Device, Llama, score, Tokenizer } from "../dist/index.mjs";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { model: { type: "string" }, threads: { type: "string" } },
});
const items = readFileSync(positionals[0], "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));
const device = new Device("cpu", 0, Number(flags.threads));
const tokenizer = await Tokenizer.fromFile(join(flags.model, "tokenizer.json"));
const model = await Llama.load(flags.model, { device, precision: "fp32" });
const start = performance.now();
const result = await score(model, tokenizer, items);
const seconds = (performance.now() - start) / 1000;
const megabytes = process.resourceUsage().maxRSS / 1024;
const logLikelihoods = result.items.map((item) => item.logLikelihoods);
process.stdout.write(`${JSON.stringify({ seconds, megabytes, logLikelihoods })}\n`);
